import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { packageRoot } from '../../src/io/package-root';
import { scratchFolder } from '../media/pictures';
import { auditComments } from './tsdoc';

const scratch = scratchFolder();
const root = packageRoot();
const entries = Object.fromEntries(
  ['index', 'cache', 'models', 'core', 'server'].map(name => [name, join(root, `src/entries/${name}.ts`)]),
);
const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), path => readFileSync(path, 'utf8'));
const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: ['x.ts'] }, ts.sys, root);
const program = ts.createProgram(Object.values(entries), { ...options, incremental: false });

test('every exported name is documented: functions with all they take, return and throw', () => {
  const { functions, undocumented, faults } = auditComments(program, entries, join(root, 'src/'));
  expect(faults).toEqual([]);
  expect(undocumented).toBe(0);
  // It does look at them.
  expect(functions).toBeGreaterThan(150);
});

test('the main entry has at most 30 names, values and types together', () => {
  const module = program.getTypeChecker().getSymbolAtLocation(program.getSourceFile(entries.index!)!)!;
  const names = program.getTypeChecker().getExportsOfModule(module);
  expect(names.length).toBeGreaterThan(20);
  expect(names.length).toBeLessThanOrEqual(30);
});

/** What is missing in the comments of this module. */
function missing(text: string): readonly string[] {
  mkdirSync(scratch.path('src'), { recursive: true });
  const file = scratch.path('src/module.ts');
  writeFileSync(file, text);
  const one = ts.createProgram([file], { strict: true, target: ts.ScriptTarget.ES2022, types: [] });
  return auditComments(one, { module: file }, scratch.path('src')).faults.map(fault => fault.replace('module ', ''));
}

const body = 'export function add(a: number, { b }: { b: number }): number { return a + b; }';

test.each([
  ['a whole comment', `/** Adds. @param a one @param more another @returns the sum */ ${body}`, []],
  ['no comment', body, ['add: no summary', 'add: no @param a', 'add: no @param {…}', 'add: no @returns']],
  ['tags alone', `/** @param a one @param more another @returns the sum */ ${body}`, ['add: no summary']],
  [
    'a parameter that there is not, and one that says nothing',
    '/** Logs. @param b one\n * @param a */ export function log(a: number): void { console.log(a); }',
    ['log: @param b is none of its parameters', 'log: a @param that says nothing'],
  ],
  ['nothing to return', '/** Waits. */ export async function wait(): Promise<void> {}', []],
  [
    'what it throws itself',
    `/** A fault. */ export class Fault extends Error {}
     /** Fails. */ export function fail(): never { throw new Fault('x'); }
     /** Fails later. @returns what fails */ export function later() { return () => { throw new Fault('x'); }; }`,
    ['fail: no @throws Fault'],
  ],
  [
    'members: what is called is looked at as functions are, callbacks need a summary',
    `/** A thing. */ export interface Thing {
       name: string;
       /** Runs. */ run(seconds: number): number;
       /** Stops. */ stop(): void;
       /** Is told. */ onEnd?: (seconds: number) => void;
       /** Makes. */ make: (seconds: number) => Thing;
     }`,
    [
      'Thing.name: no summary',
      'Thing.run: no @param seconds',
      'Thing.run: no @returns',
      'Thing.make: no @param seconds',
      'Thing.make: no @returns',
    ],
  ],
  [
    'types and constants that are functions',
    `/** Of one. */ export type Of = (x: number) => number;
     /** One. @param x any @returns it */ export const one = (x: number): number => x;
     /** Settings. */ export type Settings = { size: number };`,
    ['Of: no @param x', 'Of: no @returns', 'Settings.size: no summary'],
  ],
  [
    'classes, their members and constructors; private ones need nothing',
    `/** A box. */ export class Box {
       private inner = 1;
       constructor(size: number) {}
       /** Opens. */ open(): number { return this.inner; }
     }`,
    ['Box.open: no @returns', 'new Box: no summary', 'new Box: no @param size'],
  ],
])('what the audit finds: %s', (_, text, expected) => {
  expect(missing(text)).toEqual(expected);
});
