/**
 * What unusual prompts can keep at most: policies that are calibrated on one kind of them alone, on other pairs of that kind.
 *
 *   node bench/run.cjs bench/unusual.ts [--groups empty,unknown] [--computed 15] [--pairs 32] [--held-out 32]
 */
import { parseArgs } from 'node:util';
import { calibrate } from '../src/calibration/calibrate';
import { fidelityOf, scorePolicy } from '../src/calibration/measure';
import { unusualGroups, unusualPairs } from '../src/calibration/mixture';
import { splitPairs } from '../src/calibration/pairs';
import { selectBackend } from '../src/engine/select';
import { DEFAULT_MODEL } from '../src/pipelines/default-model';
import { loadModel } from '../src/pipelines/load';

const { values: given } = parseArgs({
  options: {
    groups: { type: 'string', default: 'empty,unknown' },
    computed: { type: 'string', default: '15' },
    pairs: { type: 'string', default: '32' },
    'held-out': { type: 'string', default: '32' },
  },
});

async function main(): Promise<void> {
  await selectBackend('auto');
  const model = await loadModel(DEFAULT_MODEL);
  const [pairs, heldOut] = [Number(given.pairs), Number(given['held-out'])];
  const { calibration, evaluation } = splitPairs(model.info.prompts, pairs, heldOut);
  const schedule = { computed: Number(given.computed) };
  for (const group of unusualGroups.filter(each => given.groups.split(',').includes(each))) {
    const own = unusualPairs(calibration, group, 0, pairs);
    const policy = await calibrate(model, { pairs: own, steps: 30, guidance: 3, schedule });
    const others = unusualPairs(evaluation, group, 0, heldOut);
    const { floatPsnr, psnr, quantiles } = fidelityOf(await scorePolicy(model, policy, others, { batch: 8 }));
    console.log(
      `${group.padEnd(10)} float ${floatPsnr?.mean.toFixed(2)} dB, worst ${floatPsnr?.min.toFixed(2)}; 8-bit ${psnr.mean.toFixed(2)}, 10 % ${quantiles?.tenth.toFixed(2)}  ${policy.data.schedule}`,
    );
  }
  model.dispose();
}

void main();
