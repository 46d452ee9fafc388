import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadCase } from '../../src/lab/verify/load-case';
import { runTokenizer } from '../../src/lab/verify/tokenizers';

const FIXTURES = join(__dirname, '..', 'fixtures', 'tokenizers');

test.each(readdirSync(FIXTURES))('%s: every golden prompt, in every way that the files can be read', async name => {
  const golden = await loadCase(join(FIXTURES, name));
  const made = new Map<string, number[]>();
  await runTokenizer(golden, (output, value) => made.set(output, Array.from(value as number[])));
  const wrong = [...golden.expected].filter(([output, { data }]) => made.get(output)?.join() !== data.join());
  if (process.env.SHOW) for (const [o, { data }] of wrong) console.log(o, made.get(o)?.join(), data.join());
  expect(wrong.map(([output]) => output)).toEqual([]);
  expect(golden.expected.size).toBeGreaterThan(100);
});
