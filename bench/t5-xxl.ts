/**
 * The text encoder of FLUX, CogVideoX and Open-Sora at its full size (T5 1.1 XXL, 4.76 B parameters), made-up weights
 * in two float16 files, its layers read one at a time: memory and time for one prompt.
 * Writes 9.5 GB, and deletes them afterwards.
 *
 *   node bench/run.cjs bench/t5-xxl.ts [--folder DIR] [--tokens 512] [--backend native] [--keep]
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatBytes, peakMemory } from '../src/engine/memory';
import { selectBackend } from '../src/engine/select';
import type { BackendRequest } from '../src/engine/types';
import { loadTextEncoder } from '../src/models/text/load';
import { t5Config, t5Parameters } from '../src/models/text/t5';
import { openModelFolderAt } from '../src/weights/disk';
import { parameterCount } from '../src/weights/parameters';
import { streamedStore } from '../src/weights/streamed-store';
import { forgetCached } from './disk';
import { writeModel } from './synthetic-checkpoint';

const { values: given } = parseArgs({
  options: {
    folder: { type: 'string', default: join(tmpdir(), 'ertacache-t5-xxl') },
    tokens: { type: 'string', default: '512' },
    backend: { type: 'string', default: 'native' },
    keep: { type: 'boolean', default: false },
  },
});

/** What `text_encoder_2/config.json` of FLUX.1-dev says. */
const CONFIG = {
  architectures: ['T5EncoderModel'],
  d_ff: 10240,
  d_kv: 64,
  d_model: 4096,
  feed_forward_proj: 'gated-gelu',
  layer_norm_epsilon: 1e-6,
  num_heads: 64,
  num_layers: 24,
  relative_attention_max_distance: 128,
  relative_attention_num_buckets: 32,
  vocab_size: 32128,
};
const BOUND = 4e9;

async function main(): Promise<void> {
  const folder = given.folder as string;
  const isNew = !existsSync(join(folder, 'config.json'));
  try {
    const table = t5Parameters(t5Config.parse(CONFIG));
    if (isNew) {
      mkdirSync(folder, { recursive: true });
      const { paths, bytes } = writeModel(folder, CONFIG, table, { stem: 'model', shards: 2 });
      console.log(`wrote ${formatBytes(bytes)} in ${paths.length} files`);
      for (const path of paths) forgetCached(path);
    }
    console.log((await selectBackend(given.backend as BackendRequest)).label);
    const alone = peakMemory();
    const count = Number(given.tokens);
    const ids = Array.from({ length: count }, (_, i) => (i * 7919) % CONFIG.vocab_size);

    const started = performance.now();
    const { encoder, dispose } = await loadTextEncoder(await openModelFolderAt(folder), streamedStore);
    const { lastHiddenState } = await encoder.encode([ids]);
    const values = await lastHiddenState.data<'float32'>();
    const seconds = (performance.now() - started) / 1000;
    dispose();
    if (!values.every(Number.isFinite)) throw new Error('the states are not finite');

    const most = peakMemory();
    console.log(
      `${parameterCount(table).toLocaleString('en-US')} parameters, ${count} tokens: ${seconds.toFixed(1)} s`,
    );
    console.log(
      `most memory in use: ${formatBytes(most)}, of which the process alone ${formatBytes(alone)} ` +
        `(${most < BOUND ? 'under' : 'over'} ${formatBytes(BOUND)})`,
    );
  } finally {
    if (isNew && !given.keep) rmSync(folder, { recursive: true, force: true });
  }
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
