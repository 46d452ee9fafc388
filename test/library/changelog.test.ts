import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/io/package-root';
import { VERSION } from '../../src/version';

const changelog = readFileSync(join(packageRoot(), 'CHANGELOG.md'), 'utf8');
const headings = [...changelog.matchAll(/^## (.*)$/gm)].map(m => m[1]!);

test('the newest version of the changelog is that of the package, and something is said about it', () => {
  expect(headings[0]).toBe(VERSION);
  const [, newest] = changelog.split(/^## .*$/m);
  expect(newest!.trim()).not.toBe('');
});

test('every heading of the changelog is a version, and older ones come later', () => {
  expect(headings.filter(heading => !/^\d+\.\d+\.\d+$/.test(heading))).toEqual([]);
  const numbers = (version: string): number[] => version.split('.').map(Number);
  const older = (a: string, b: string): number => {
    const at = numbers(a).findIndex((n, i) => n !== numbers(b)[i]);
    return at < 0 ? 0 : numbers(b)[at]! - numbers(a)[at]!;
  };
  expect([...headings].sort(older)).toEqual(headings);
});
