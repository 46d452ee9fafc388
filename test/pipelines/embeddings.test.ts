import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { none } from '../../src/cache/none';
import { maxAbsError } from '../../src/lab/verify/verify';
import { dense } from '../../src/media/pixels';
import { textMemory } from '../../src/models/text/memory';
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

describeOnBackends('what is remembered of texts', () => {
  test('serves batches of them in any order, and only what is missing is encoded, once', async () => {
    const before = tf.memory().numTensors;
    const asked: (readonly string[])[] = [];
    const memory = textMemory(async ({ texts }) => {
      asked.push(texts);
      const rows = texts.map(text => [text.length, 1]);
      return { ids: rows, mask: rows, states: tf.tensor3d(rows.map(row => [row])), pooled: tf.tensor2d(rows) };
    });
    const texts = async (...wanted: string[]): Promise<number[]> => {
      const { ids, mask, states, pooled } = await memory.encode({ encoder: 'e', tokenizer: 't', texts: wanted });
      expect([states.shape, pooled!.shape]).toEqual([
        [wanted.length, 1, 2],
        [wanted.length, 2],
      ]);
      expect([mask, [...pooled!.dataSync()]]).toEqual([ids, ids.flat()]);
      const lengths = [...states.dataSync()].filter((_, i) => i % 2 === 0);
      tf.dispose([states, pooled!]);
      return lengths;
    };
    expect(await texts('a')).toEqual([1]);
    expect(await texts('abc')).toEqual([3]);
    expect(await texts('abc', 'a')).toEqual([3, 1]);
    expect(await texts('', 'ab', '', 'a')).toEqual([0, 2, 0, 1]);
    expect(await texts('ab', 'ab')).toEqual([2, 2]);
    expect(asked).toEqual([['a'], ['abc'], ['', 'ab']]);
    expect(memory.entries().map(({ request: { texts } }) => texts)).toEqual([['a'], ['abc'], [''], ['ab']]);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describeOnBackends('embeddings in a file', () => {
  test('serve their prompts in other batches than they were made in', async () => {
    const file = scratch.path('e.safetensors');
    const both: BatchRequest = { ...request, prompts: ['a red fox', 'a cat'], seeds: [3, 4] };
    await saved(tiny('flux-tiny'), file, both);
    const given = await loadModel(await withSpoiltEncoders('flux-tiny'), { embeddings: await readEmbeddings(file) });
    const ours = await runRequest(given, both, none());
    const alone = await runRequest(given, { ...both, prompts: ['a cat'], seeds: [4] }, none());
    expect(maxAbsError(dense(alone.media[0]!), dense(ours.media[1]!))).toBeLessThan(1e-4);
    given.dispose();
  });

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
