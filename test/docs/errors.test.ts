import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as errors from '../../src/errors';
import { packageRoot } from '../../src/io/package-root';

const page = readFileSync(join(packageRoot(), 'docs/errors.md'), 'utf8');
const source = readFileSync(join(packageRoot(), 'src/errors.ts'), 'utf8');

/** The strings that a union type of `src/errors.ts` is made of. */
function members(type: string): string[] {
  const [, union] = new RegExp(`export type ${type} =([^;]*);`).exec(source) ?? [];
  return [...union!.matchAll(/'(\w+)'/g)].map(m => m[1]!);
}

/** The cells of the table in one section of the page, without its head. */
function rows(title: string): string[][] {
  const [, section] = new RegExp(`^## ${title}\\n(.*?)(?=^## |(?![\\s\\S]))`, 'ms').exec(page) ?? [];
  const lines = section!.split('\n').filter(line => line.startsWith('| `'));
  return lines.map(line => line.split('|').map(cell => cell.trim().replace(/^`(.*)`$/, '$1'))).map(c => c.slice(1, -1));
}

test('the page lists every error code, and no other', () => {
  expect(rows('Codes').map(([code]) => code)).toEqual(members('ErrorCode'));
});

test('every code stands beside the class that has it', () => {
  const classes = errors as unknown as Record<string, new (...args: unknown[]) => errors.ErtaError>;
  for (const [code, name] of rows('Codes')) {
    const made = name === 'CheckpointError' ? new classes[name]!('offsets', 'why') : new classes[name!]!('why');
    expect([name, made.code]).toEqual([name, code]);
  }
});

test('the page lists every fault of checkpoints, and no other', () => {
  expect(rows('Faults of checkpoints').map(([fault]) => fault)).toEqual(members('CheckpointFault'));
});

test('every entry says what it means, shows a message and names a remedy', () => {
  for (const row of [...rows('Codes').map(([code, , ...rest]) => [code, ...rest]), ...rows('Faults of checkpoints')]) {
    expect(row).toHaveLength(4);
    expect(row.filter(cell => cell === '')).toEqual([]);
    expect(row[2]).toMatch(/^".*\."$/);
  }
});
