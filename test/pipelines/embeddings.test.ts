import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { none } from '../../src/cache/none';
import { dense } from '../../src/media/pixels';
import { readEmbeddings, writeEmbeddings } from '../../src/pipelines/embeddings-file';
import { loadModel } from '../../src/pipelines/load';
import type { BatchRequest } from '../../src/sampling/pipeline';
import { runRequest } from '../../src/sampling/run-job';
import { openModelAt } from '../../src/weights/disk';
import { scratchFolder } from '../media/pictures';
import { describeOnBackends } from '../support/backends';

const tiny = (name: string): string => resolve(__dirname, '../fixtures/pipelines', name, 'pipeline');
const scratch = scratchFolder();
const request: BatchRequest = {
  prompts: ['a red fox'],
  seeds: [3],
  steps: 2,
  guidance: 3,
  size: { width: 32, height: 32, frames: 1 },
};

/** Encodes the request's prompts with a pipeline and writes them. */
async function saved(folder: string, path: string, given = request): Promise<void> {
  const pipeline = await loadModel(folder);
  await pipeline.encodePrompts!(given);
  await writeEmbeddings(path, { ...(await pipeline.embeddings!()), prompts: given.prompts });
  pipeline.dispose();
}

/**
 * A copy of a pipeline whose text encoders are spoilt where their identity does not look: whoever runs one is refused
 * for values that are not finite.
 */
async function withSpoiltEncoders(name: string): Promise<string> {
  const folder = scratch.path('spoilt');
  cpSync(tiny(name), folder, { recursive: true });
  const model = await openModelAt(tiny(name));
  for (const [part] of model.components) {
    if (!part.startsWith('text_encoder')) continue;
    const path = join(folder, part, 'model.safetensors');
    const bytes = readFileSync(path);
    const start = 8 + Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<
      string,
      { dtype?: string; data_offsets: [number, number] }
    >;
    for (const { dtype, data_offsets } of Object.values(header)) {
      if (dtype === 'F32' && data_offsets[1] - data_offsets[0] > 300)
        bytes.fill(0xff, start + data_offsets[1] - 4, start + data_offsets[1]);
    }
    writeFileSync(path, bytes);
  }
  await model.close();
  return folder;
}

describeOnBackends('text encoders', () => {
  test.each(['flux-tiny', 'wan-tiny', 'cogvideox-tiny', 'opensora-tiny'])(
    '%s: an abort while a prompt is encoded stops there and keeps nothing',
    async name => {
      const pipeline = await loadModel(tiny(name));
      const before = tf.memory().numTensors;
      const controller = new AbortController();
      // Aborts in the first turn of the event loop: the weights of the encoder are read in it.
      setImmediate(() => controller.abort('enough'));
      const { signal } = controller;
      const stopped = { name: 'AbortError', reason: 'enough' };
      await expect(pipeline.encodePrompts!(request, { signal })).rejects.toMatchObject(stopped);
      await expect(pipeline.prepare(request, { signal })).rejects.toMatchObject(stopped);
      expect((await pipeline.embeddings!()).entries).toEqual([]);
      expect(tf.memory().numTensors).toBe(before);
      pipeline.dispose();
    },
  );
});

describeOnBackends('embeddings in a file', () => {
  test.each(['flux-tiny', 'wan-tiny', 'cogvideox-tiny', 'opensora-tiny'])(
    '%s: draws the same pixels from them, and runs no text encoder',
    async name => {
      const file = scratch.path('e.safetensors');
      await saved(tiny(name), file);
      const before = tf.memory().numTensors;
      const own = await loadModel(tiny(name));
      const wanted = dense((await runRequest(own, request, none())).media[0]!);
      own.dispose();

      const folder = await withSpoiltEncoders(name);
      const spoilt = await loadModel(folder);
      await expect(spoilt.prepare(request)).rejects.toThrow('holds NaN');
      spoilt.dispose();
      const given = await loadModel(folder, { embeddings: await readEmbeddings(file) });
      expect(dense((await runRequest(given, request, none())).media[0]!)).toEqual(wanted);
      given.dispose();
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  test('prompts, lengths and guidance that they do not hold are refused by name', async () => {
    const file = scratch.path('e.safetensors');
    await saved(tiny('wan-tiny'), file, { ...request, guidance: 1 });
    const pipeline = await loadModel(tiny('wan-tiny'), { embeddings: await readEmbeddings(file) });
    const prepared = (change: Partial<BatchRequest>) => pipeline.prepare({ ...request, guidance: 1, ...change });
    await expect(prepared({ prompts: ['a cat'] })).rejects.toThrow('holds no embedding of "a cat" by text_encoder.');
    await expect(prepared({ guidance: 3 })).rejects.toThrow('holds no embedding of "" by text_encoder.');
    await expect(prepared({ maxSequenceLength: 9 })).rejects.toThrow('at 512 tokens for text_encoder, and 9 are');
    (await prepared({})).release();
    pipeline.dispose();
  });

  test('those of another text encoder are refused', async () => {
    const file = scratch.path('e.safetensors');
    await saved(tiny('cogvideox-tiny'), file);
    const embeddings = await readEmbeddings(file);
    await expect(loadModel(tiny('wan-tiny'), { embeddings })).rejects.toThrow(
      'were made by another text_encoder than that of pipeline.',
    );
    await expect(loadModel('fluent-emoji', { embeddings })).rejects.toThrow('fluent-emoji has no text encoder');
  });
});

test('other files are refused', async () => {
  const weights = join(tiny('wan-tiny'), 'vae/diffusion_pytorch_model.safetensors');
  await expect(readEmbeddings(weights)).rejects.toThrow('holds no embeddings of ertacache.');
  await expect(readEmbeddings(scratch.path('none.safetensors'))).rejects.toThrow('does not exist.');
  writeFileSync(scratch.path('cut.safetensors'), readFileSync(weights).subarray(0, 50));
  await expect(readEmbeddings(scratch.path('cut.safetensors'))).rejects.toMatchObject({ code: 'checkpoint' });
});
