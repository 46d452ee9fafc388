import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadCase } from '../../src/lab/verify/load-case';
import { runTextCleaning } from '../../src/lab/verify/text-cleaning';
import { verifyCase } from '../../src/lab/verify/verify';

const PROMPTS = join(__dirname, '..', 'fixtures', 'text-cleaning', 'prompts');

const text = (codes: ArrayLike<number> | undefined): string => String.fromCodePoint(...Array.from(codes ?? []));

test('every golden prompt', async () => {
  const golden = await loadCase(PROMPTS);
  const made = new Map<string, ArrayLike<number>>();
  await runTextCleaning(golden, (name, value) => made.set(name, value as number[]));
  const wanted = [...golden.expected].map(([name, { data }]) => [name, text(data)]);
  expect(wanted.map(([name]) => [name, text(made.get(name as string))])).toEqual(wanted);
  expect(wanted).toHaveLength(89 * 4);
});

test('one wrong character fails the case', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'prompts-'));
  try {
    const listed = JSON.parse(readFileSync(join(PROMPTS, 'cases.json'), 'utf8')) as { cases: { wan: string }[] };
    listed.cases[3]!.wan += '!';
    writeFileSync(join(folder, 'cases.json'), JSON.stringify(listed));
    writeFileSync(join(folder, 'case.json'), JSON.stringify({ group: 'text-cleaning', tolerance: 0 }));
    const report = await verifyCase(folder);
    expect(report.passed).toBe(false);
    expect(report.comparisons.filter(c => !c.passed).map(c => c.name)).toEqual(['03.wan']);
    expect(report.unchecked).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
