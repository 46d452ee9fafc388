import { resolve } from 'node:path';
import { handMade } from '../../src/browser/worker/hand-made';
import { draw, repeat } from '../../src/draw/draw';
import { selectBackend } from '../../src/engine/select';
import { dense } from '../../src/media/pixels';
import { loadModel } from '../../src/pipelines/load';

beforeAll(() => selectBackend('wasm'));

test('a schedule made by hand fits a run that is steered and shifted, and its picture is repeated', async () => {
  const model = await loadModel(resolve(__dirname, '../fixtures/pipelines/flux-tiny/pipeline'));
  const asked = { size: { width: 32, height: 32 }, shift: 2, negativePrompt: 'blur', trueCfgScale: 4 };
  const run = { prompt: 'a fox', steps: 4, ...asked };
  const policy = handMade(model, { schedule: '##.#' }, run)!;
  const { media: first, schedule, receipt } = await draw(run, { model, policy });
  expect(schedule).toBe('##.#');
  expect(receipt).toMatchObject({ shift: 2, trueCfgScale: 4 });
  // All of it is in the receipt.
  const { media, receipt: again } = await repeat(receipt, { model });
  expect([dense(media), again]).toEqual([dense(first), receipt]);
  await expect(repeat({ ...receipt, schedule: '#.##' }, { model })).rejects.toThrow('is no longer here');
  await expect(draw({ ...run, shift: 3 }, { model, policy })).rejects.toThrow('another noise schedule');
  model.dispose();
});
