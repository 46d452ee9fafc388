import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const fixtures = resolve(__dirname, '../fixtures/pipelines');
const made: string[] = [];

afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true });
});

/** A copy of a small pipeline, in which some fields of some JSON files are others; null stays null. */
export function altered(
  name: 'flux-tiny' | 'chroma-tiny' | 'wan-tiny' | 'cogvideox-tiny' | 'opensora-tiny',
  changes: Readonly<Record<string, object>> = {},
): string {
  const parent = mkdtempSync(join(tmpdir(), 'ertacache-altered-'));
  made.push(parent);
  const folder = join(parent, name);
  cpSync(join(fixtures, name, 'pipeline'), folder, { recursive: true, dereference: true });
  for (const [file, fields] of Object.entries(changes)) {
    const path = join(folder, file);
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...fields }));
  }
  return folder;
}
