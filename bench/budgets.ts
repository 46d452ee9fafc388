/**
 * One calibration for all budgets: what it costs beside one for a single budget, and what its policies keep beside those
 * of budgets that were calibrated alone, on the same held-out pairs.
 *
 *   node bench/run.cjs bench/budgets.ts [--pairs 32] [--held-out 64] [--alone 6,8,10,15,20] [--guidance 3]
 */
import { parseArgs } from 'node:util';
import { calibrate } from '../src/calibration/calibrate';
import { fidelityOf, scorePolicies } from '../src/calibration/measure';
import { splitPairs } from '../src/calibration/pairs';
import { selectBackend } from '../src/engine/select';
import { DEFAULT_MODEL } from '../src/pipelines/default-model';
import { loadModel } from '../src/pipelines/load';
import { atBudget, budgetsOf, computedBy } from '../src/policy/budget';
import type { Policy } from '../src/policy/data';

const STEPS = 30;

async function main(): Promise<void> {
  const { values: given } = parseArgs({
    options: {
      pairs: { type: 'string', default: '32' },
      'held-out': { type: 'string', default: '64' },
      alone: { type: 'string', default: '6,8,10,15,20' },
      guidance: { type: 'string', default: '3' },
    },
  });
  await selectBackend('auto');
  const model = await loadModel(DEFAULT_MODEL);
  const { calibration, evaluation } = splitPairs(model.info.prompts, Number(given.pairs), Number(given['held-out']));
  const common = { pairs: calibration, steps: STEPS, guidance: Number(given.guidance) };
  const each = (forwards: number): string => `${(forwards / calibration.length).toFixed(1)} forward passes a pair`;
  const budgets = Array.from({ length: STEPS - 5 }, (_, i) => 5 + i);
  const whole = await calibrate(model, { ...common, schedule: { budgets } });
  console.log(`all    ${each(whole.data.calibration.forwards)}, ${budgetsOf(whole).map(computedBy).join(' ')}`);
  const both: Policy[] = [];
  for (const computed of given.alone.split(',').filter(Boolean).map(Number)) {
    const alone = await calibrate(model, { ...common, schedule: { computed } });
    console.log(`${computed} alone  ${each(alone.data.calibration.forwards)}, ${alone.data.schedule}`);
    both.push(atBudget(whole, { forwards: computed }), alone);
  }
  const scored = evaluation.length > 0 ? await scorePolicies(model, both, evaluation, { batch: 8 }) : [];
  for (const [i, scores] of scored.entries()) {
    const { floatPsnr, psnr, quantiles } = fidelityOf(scores);
    const policy = both[i] as Policy;
    console.log(
      `${computedBy(policy)} ${i % 2 === 0 ? 'of all' : 'alone '} float ${floatPsnr?.mean.toFixed(2)} dB, 8-bit ${psnr.mean.toFixed(2)}, 10 % ${quantiles?.tenth.toFixed(2)}  ${policy.data.schedule}`,
    );
  }
  model.dispose();
}

void main();
