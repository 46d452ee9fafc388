import { join } from 'node:path';
import { loadCase } from '../../src/verify/load-case';
import { runTextCleaning } from '../../src/verify/text-cleaning';

const text = (codes: ArrayLike<number> | undefined): string => String.fromCodePoint(...Array.from(codes ?? []));

test('every golden prompt', async () => {
  const golden = await loadCase(join(__dirname, '..', 'fixtures', 'text-cleaning', 'prompts'));
  const made = new Map<string, ArrayLike<number>>();
  await runTextCleaning(golden, (name, value) => made.set(name, value as number[]));
  const wanted = [...golden.expected].map(([name, { data }]) => [name, text(data)]);
  expect(wanted.map(([name]) => [name, text(made.get(name as string))])).toEqual(wanted);
  expect(wanted).toHaveLength(89 * 4);
});
