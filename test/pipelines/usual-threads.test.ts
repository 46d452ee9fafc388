import { requirements } from '../../src/models/requirements';
import { locateModel } from '../../src/pipelines/load';
import { usualDemand } from '../../src/pipelines/usual-demand';
import { usualThreads } from '../../src/pipelines/usual-threads';
import { openModelAt } from '../../src/weights/disk';
import { componentOf } from '../../src/weights/open-model';

test('the embedded models draw on one thread; what cannot be opened is left to whoever loads it', async () => {
  expect(await usualThreads()).toBe(1);
  expect(await usualThreads('fluent-emoji-video')).toBe(1);
  expect(await usualThreads('no-such-model')).toBeUndefined();
});

test.each([
  ['fluent-emoji', 64, 8, 1],
  ['fluent-emoji-video', 256, 8, 8],
])('%s: the work of one of its pictures', async (name, tokens, textTokens, frames) => {
  const files = await openModelAt(locateModel(name));
  const { className, config } = componentOf(files, 'transformer');
  const found = requirements(className, config, await usualDemand(files));
  expect([found.tokens, found.textTokens]).toEqual([tokens, textTokens]);
  expect(found.size.frames).toBe(1 + 4 * (frames - 1));
  await files.close();
});
