/**
 * Whether it pays to draw several pictures as one batch: the time of a picture alone by its share of a batch, in turns.
 *
 *   node bench/run.cjs bench/batching.ts [--backend wasm] [--steps 4] [--runs 5]
 */
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { none } from '../src/cache/none';
import { selectBackend } from '../src/engine/select';
import type { EngineKind } from '../src/engine/types';
import { loadModel } from '../src/pipelines/load';
import { runRequest } from '../src/sampling/run-job';

const { values: given } = parseArgs({
  options: {
    backend: { type: 'string', default: 'wasm' },
    steps: { type: 'string', default: '4' },
    runs: { type: 'string', default: '5' },
  },
});

async function main(): Promise<void> {
  await selectBackend(given.backend as EngineKind, { threads: 1 });
  const model = await loadModel();
  const draw = async (rows: number): Promise<number> => {
    const request = {
      prompts: Array.from({ length: rows }, () => 'red heart'),
      seeds: Array.from({ length: rows }, (_, seed) => seed),
      steps: Number(given.steps),
      guidance: model.info.defaults.guidance,
    };
    const started = process.cpuUsage();
    await runRequest(model, request, none());
    const { user, system } = process.cpuUsage(started);
    return (user + system) / 1e6 / rows;
  };
  for (const rows of [2, 4]) {
    await draw(rows);
    const ratios: number[] = [];
    for (let run = 0; run < Number(given.runs); run++) {
      const alone = await draw(1);
      ratios.push(alone / (await draw(rows)));
    }
    const median = ratios.sort((a, b) => a - b)[Math.floor(ratios.length / 2)] as number;
    console.log(
      `${given.backend}: a picture alone takes ${median.toFixed(3)} × the processor time of one in a batch of ${rows}` +
        `  (load ${loadavg()[0]?.toFixed(1)})`,
    );
  }
  model.dispose();
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
