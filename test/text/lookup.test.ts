import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { openFile } from '../../src/io/node-file';
import { loadCase } from '../../src/lab/verify/load-case';
import { loadTextEncoder, type OpenStore } from '../../src/models/text/load';
import { textEncoderClass } from '../../src/models/text/registry';
import { release } from '../../src/nn/scope';
import { loadStore } from '../../src/weights/load';
import { lookUp, readRows } from '../../src/weights/rows';
import { safetensorsSource } from '../../src/weights/safetensors-source';
import type { TensorSource } from '../../src/weights/source';
import { streamedStore } from '../../src/weights/streamed-store';
import { describeOnBackends } from '../support/backends';

const folder = (name: string): string => join(__dirname, '..', 'fixtures', 'text-encoders', name);
const openWeights = async (name: string): Promise<TensorSource> =>
  safetensorsSource(await openFile(join(folder(name), 'weights.safetensors')));

/** A store without its lookup tables in memory, as one that streams. */
const openLean: OpenStore = async (source, table, options) => {
  const lookups = table.filter(parameter => parameter.lookup).map(parameter => new RegExp(`^${parameter.name}$`));
  const store = await loadStore(
    source,
    table.filter(parameter => !parameter.lookup),
    { ...options, ignore: [...(options.ignore ?? []), ...lookups] },
  );
  return { ...store, rows: (name, ids) => readRows(source, name, ids) };
};

/** The source with some tensors under other names. */
function renamed(source: TensorSource, names: ReadonlyMap<string, string>): TensorSource {
  const back = new Map([...names].map(([from, to]) => [to, from]));
  const original = (name: string): string => back.get(name) ?? name;
  return {
    ...source,
    names: source.names.map(name => names.get(name) ?? name).sort(),
    has: name => source.has(original(name)) && !names.has(name),
    entry: name => source.entry(original(name)),
    read: (name, slice) => source.read(original(name), slice),
  };
}

describeOnBackends('lookups', () => {
  test('rows of a table, read from the file and from memory', async () => {
    const source = await openWeights('t5');
    const table = textEncoderClass('T5EncoderModel');
    const config = table.schema.parse((await loadCase(folder('t5'))).config);
    const store = await loadStore(source, table.parameters(config));
    const ids = [80, 3, 3, 0, 5, 89];
    const read = await readRows(source, 'shared.weight', ids);
    const gathered = await lookUp(store, 'shared.weight', ids);
    expect(read.shape).toEqual([6, 32]);
    expect([...read.dataSync()]).toEqual([...gathered.dataSync()]);
    await expect(readRows(source, 'shared.weight', [90])).rejects.toThrow('Row 90 of shared.weight was requested');
    await expect(lookUp(store, 'shared.weight', [-1])).rejects.toThrow('which has 90 rows');
    tf.dispose([read, gathered]);
    store.dispose();
    await source.close();
  });

  test('an encoder that leaves its table on disk, under either name, says the same', async () => {
    const golden = await loadCase(folder('umt5'));
    const source = await openWeights('umt5');
    const rest = { className: golden.className, config: golden.config as Record<string, unknown>, where: 'umt5' };
    const other = renamed(source, new Map([['shared.weight', 'encoder.embed_tokens.weight']]));
    const ids = [Array.from(golden.inputs.get('r2.input_ids')!.data)];
    const results: string[] = [];
    // The streamed store closes its source, so it gets one of its own.
    const ways: [TensorSource, OpenStore][] = [
      [source, loadStore],
      [source, openLean],
      [other, openLean],
      [await openWeights('umt5'), streamedStore],
    ];
    for (const [from, open] of ways) {
      const before = tf.memory().numTensors;
      const { encoder, dispose } = await loadTextEncoder({ ...rest, source: from }, open);
      const encoded = await encoder.encode(ids);
      results.push(encoded.lastHiddenState.dataSync().join());
      release(encoded);
      dispose();
      expect(tf.memory().numTensors).toBe(before);
    }
    expect(new Set(results).size).toBe(1);
    await source.close();
  });

  test('masked padding changes nothing for the tokens', async () => {
    const golden = await loadCase(folder('t5'));
    const source = await openWeights('t5');
    const config = golden.config as Record<string, unknown>;
    const { encoder, dispose } = await loadTextEncoder({ className: golden.className, config, source, where: 't5' });
    const short = await encoder.encode([[5, 6, 7, 1]]);
    const padded = await encoder.encode([[5, 6, 7, 1, 0, 0, 0]], { mask: [[1, 1, 1, 1, 0, 0, 0]] });
    const head = tf.slice(padded.lastHiddenState, [0, 0, 0], [1, 4, 32]);
    const [a, b] = [short.lastHiddenState.dataSync(), head.dataSync()];
    expect(Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))).toBeLessThan(1e-4);
    release([short, padded, head]);

    await expect(encoder.encode([[1, 2], [3]])).rejects.toThrow('all of one length');
    await expect(encoder.encode([])).rejects.toThrow('rows of token ids');
    await expect(encoder.encode([[1, 90]])).rejects.toThrow('Row 90 of');
    await expect(encoder.encode([[1, 2]], { mask: [[1]] })).rejects.toThrow('must be [1, 2]');
    dispose();
    await source.close();
  });

  test('CLIP has no positions beyond its limit', async () => {
    const golden = await loadCase(folder('clip-legacy-eos'));
    const source = await openWeights('clip-legacy-eos');
    const config = golden.config as Record<string, unknown>;
    const { encoder, dispose } = await loadTextEncoder({ className: golden.className, config, source, where: 'clip' });
    await expect(encoder.encode([Array<number>(78).fill(1)])).rejects.toThrow('78 tokens are more than the 77');
    dispose();
    await source.close();
  });
}, ['native', 'wasm']);

test('configurations that cannot be right are refused', () => {
  const t5 = textEncoderClass('T5EncoderModel').schema;
  const clip = textEncoderClass('CLIPTextModel').schema;
  const old = t5.safeParse({ architectures: ['T5EncoderModel'], feed_forward_proj: 'relu' });
  expect(old.error?.issues[0]?.message).toMatch('only gated-gelu');
  const uneven = clip.safeParse({ architectures: ['CLIPTextModel'], hidden_size: 10, num_attention_heads: 4 });
  expect(uneven.success).toBe(false);
  expect(() => textEncoderClass('BertModel')).toThrow('no text encoder that ertacache runs');
});
