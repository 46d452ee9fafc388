import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { openFile } from '../../io/node-file';
import { loadTextEncoder } from '../../models/text/load';
import { positionBias, positionBucket, t5Config } from '../../models/text/t5';
import { release } from '../../nn/scope';
import { safetensorsSource } from '../../weights/safetensors-source';
import type { TensorSource } from '../../weights/source';
import type { CaseRunner, GoldenCase, GoldenTensor, Produce } from './golden-case';

/** Runs a case of the group `text-encoders`: `r0`, `r1`, … are independent calls. */
export const runTextEncoder: CaseRunner = async (golden, produce) => {
  const where = join(golden.folder, 'weights.safetensors');
  const source = await safetensorsSource(await openFile(where));
  try {
    const config = golden.config as Record<string, unknown>;
    const { encoder, dispose } = await loadTextEncoder({ className: golden.className, config, source, where });
    try {
      for (const [name, ids] of golden.inputs) {
        const [run, what] = name.split('.');
        if (what !== 'input_ids') continue;
        const mask = golden.inputs.get(`${run}.attention_mask`);
        const encoded = await encoder.encode(rowsOf(ids), {
          ...(mask && { mask: rowsOf(mask) }),
          see: (part, value) => produce(`${run}.${part}`, value),
        });
        produce(`${run}.last_hidden_state`, encoded.lastHiddenState);
        if (encoded.pooled) produce(`${run}.pooler_output`, encoded.pooled);
        release(encoded);
      }
    } finally {
      dispose();
    }
    await producePositions(golden, source, produce);
  } finally {
    await source.close();
  }
};

/** T5's position biases, for the lengths at which the reference was asked for them, and its buckets. */
async function producePositions(golden: GoldenCase, source: TensorSource, produce: Produce): Promise<void> {
  const parsed = t5Config.safeParse(golden.config);
  if (!parsed.success) return;
  const config = parsed.data;
  const buckets = golden.expected.get('buckets');
  if (buckets) {
    const reach = (buckets.data.length - 1) / 2;
    const values = Array.from(buckets.data, (_, i) => positionBucket(i - reach, config));
    produce('buckets', values);
  }
  for (const [name, { shape }] of golden.expected) {
    const block = /^position_bias\.(\d+)$/.exec(name)?.[1];
    if (block === undefined) continue;
    const key = `encoder.block.${block}.layer.0.SelfAttention.relative_attention_bias.weight`;
    const table = tf.tensor(await source.read(key), [...source.entry(key).shape]);
    const bias = positionBias(table, shape[1] as number, config);
    produce(name, bias);
    tf.dispose([table, bias]);
  }
}

function rowsOf({ shape, data }: GoldenTensor): number[][] {
  const [rows, width] = shape as [number, number];
  return Array.from({ length: rows }, (_, i) => Array.from(data.subarray(i * width, (i + 1) * width)));
}
