/**
 * One policy for a range of guidance, beside policies for each guidance alone: float PSNR on the same held-out pairs.
 *
 *   node bench/run.cjs bench/guidance-range.ts [--range 1.5-6] [--at 2,3,4,5] [--computed 15] [--pairs 32] [--held-out 32]
 *     [--worst-weight 1]
 */
import { parseArgs } from 'node:util';
import { calibrate } from '../src/calibration/calibrate';
import { fidelityOf, scorePolicy } from '../src/calibration/measure';
import { splitPairs } from '../src/calibration/pairs';
import { DEFAULT_WORST_WEIGHT } from '../src/calibration/quality';
import { selectBackend } from '../src/engine/select';
import { DEFAULT_MODEL } from '../src/pipelines/default-model';
import { loadModel } from '../src/pipelines/load';
import type { Policy } from '../src/policy/data';

const STEPS = 30;

async function main(): Promise<void> {
  const { values: given } = parseArgs({
    options: {
      range: { type: 'string', default: '1.5-6' },
      at: { type: 'string', default: '2,3,4,5' },
      computed: { type: 'string', default: '15' },
      pairs: { type: 'string', default: '32' },
      'held-out': { type: 'string', default: '32' },
      'worst-weight': { type: 'string', default: `${DEFAULT_WORST_WEIGHT}` },
    },
  });
  await selectBackend('auto');
  const model = await loadModel(DEFAULT_MODEL);
  const [from = 1.5, to = 6] = given.range.split('-').map(Number);
  const { calibration, evaluation } = splitPairs(model.info.prompts, Number(given.pairs), Number(given['held-out']));
  const worstWeight = Number(given['worst-weight']);
  const common = { pairs: calibration, steps: STEPS, schedule: { computed: Number(given.computed) }, worstWeight };
  const ranged = await calibrate(model, { ...common, guidance: 3, guidanceRange: { from, to } });
  console.log(`range      ${ranged.data.schedule}  ${ranged.data.calibration.forwards} forward passes`);
  const line = async (policy: Policy): Promise<string> => {
    const { floatPsnr, psnr, quantiles } = fidelityOf(await scorePolicy(model, policy, evaluation, { batch: 8 }));
    return `float ${floatPsnr?.mean.toFixed(2)} dB, worst ${floatPsnr?.min.toFixed(2)}; 8-bit ${psnr.mean.toFixed(2)}, 10 % ${quantiles?.tenth.toFixed(2)}`;
  };
  for (const guidance of given.at.split(',').map(Number)) {
    // Measured at its own guidance: of the range at this one.
    console.log(`${guidance} range    ${await line({ ...ranged, data: { ...ranged.data, guidance } })}`);
    const alone = await calibrate(model, { ...common, guidance });
    console.log(`${guidance} alone    ${await line(alone)}  ${alone.data.schedule}`);
  }
  model.dispose();
}

void main();
