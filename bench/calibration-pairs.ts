/**
 * How much a policy depends on the pairs it was calibrated on: calibrates on disjoint sets of pairs, of one size and of
 * another, and measures every policy on the same held-out pairs.
 *
 *   node bench/run.cjs bench/calibration-pairs.ts [--sizes 8,16] [--sets 4] [--held-out 32] [--computed 15] [--guidance 3]
 */
import { parseArgs } from 'node:util';
import { calibrate } from '../src/calibration/calibrate';
import { fidelityOf, scorePolicy } from '../src/calibration/measure';
import { splitPairs } from '../src/calibration/pairs';
import { selectBackend } from '../src/engine/select';
import { meanInterval, pairedDifference } from '../src/metrics/statistics';
import { loadModel } from '../src/pipelines/load';

const { values: given } = parseArgs({
  options: {
    sizes: { type: 'string', default: '8,16' },
    sets: { type: 'string', default: '4' },
    'held-out': { type: 'string', default: '32' },
    computed: { type: 'string', default: '15' },
    guidance: { type: 'string', default: '3' },
  },
});

async function main(): Promise<void> {
  console.log((await selectBackend('auto')).label);
  const sizes = given.sizes.split(',').map(Number);
  const largest = Math.max(...sizes);
  const model = await loadModel();
  const sets = Number(given.sets);
  const { calibration, evaluation } = splitPairs(model.info.prompts, sets * largest, Number(given['held-out']));
  const guidance = Number(given.guidance);
  const means: number[][] = sizes.map(() => []);
  for (let set = 0; set < sets; set++) {
    for (const [s, size] of sizes.entries()) {
      // The smaller set is the beginning of the larger one.
      const pairs = calibration.slice(set * largest, set * largest + size);
      const schedule = { computed: Number(given.computed) };
      const policy = await calibrate(model, { pairs, steps: 30, guidance, schedule });
      const { psnr } = fidelityOf(await scorePolicy(model, policy, evaluation, { batch: 8 }));
      means[s]?.push(psnr.mean);
      console.log(
        `set ${set + 1}, ${size} pairs: ${policy.data.schedule}  mean ${psnr.mean.toFixed(2)} dB, worst ${psnr.min.toFixed(2)}`,
      );
    }
  }
  for (const [s, size] of sizes.entries()) {
    const { mean, low, high } = meanInterval(means[s] ?? []);
    console.log(`${size} pairs: ${mean.toFixed(2)} dB [${low.toFixed(2)}, ${high.toFixed(2)}] over ${sets} sets`);
  }
  const { mean, low, high } = pairedDifference(means[sizes.length - 1] ?? [], means[0] ?? []);
  console.log(
    `${sizes.at(-1)} pairs are better than ${sizes[0]} by ${mean.toFixed(2)} dB [${low.toFixed(2)}, ${high.toFixed(2)}]`,
  );
  model.dispose();
}

void main();
