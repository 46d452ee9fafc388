/**
 * What looking after the worst pictures costs: the schedules that a search would choose at several weights of the worst
 * eighth (`--worst-weight`), each measured on held-out pairs.
 *
 *   node bench/run.cjs bench/worst-weight.ts [--budgets 10,8] [--pairs 96] [--held-out 128] [--guidance 3]
 */
import { parseArgs } from 'node:util';
import { predictorOf } from '../src/cache/ertacache';
import { site } from '../src/cache/sites';
import { calibrate } from '../src/calibration/calibrate';
import { prepareJobs } from '../src/calibration/jobs';
import { fidelityOf, scorePolicy } from '../src/calibration/measure';
import { splitPairs } from '../src/calibration/pairs';
import { qualityOf } from '../src/calibration/quality';
import { type Reference, referenceRun } from '../src/calibration/reference';
import { triedPaths } from '../src/calibration/search/paths';
import type { Tried } from '../src/calibration/search/tried';
import { selectBackend } from '../src/engine/select';
import { fidelityText } from '../src/lab/report/text';
import { DEFAULT_MODEL } from '../src/pipelines/default-model';
import { loadModel } from '../src/pipelines/load';
import { scheduleOf } from '../src/policy/data';

const WEIGHTS = [0, 0.5, 1, 2, 3, 6];
const STEPS = 30;

async function main(): Promise<void> {
  const { values: given } = parseArgs({
    options: {
      budgets: { type: 'string', default: '10,8' },
      pairs: { type: 'string', default: '96' },
      'held-out': { type: 'string', default: '128' },
      guidance: { type: 'string', default: '3' },
    },
  });
  const guidance = Number(given.guidance);
  await selectBackend('auto');
  const model = await loadModel(DEFAULT_MODEL);
  const { calibration, evaluation } = splitPairs(model.info.prompts, Number(given.pairs), Number(given['held-out']));
  const jobs = await prepareJobs(model, calibration, { steps: STEPS, guidance, batch: 8 });
  const walking = { site: site('velocity'), predictor: predictorOf() };
  const references: Reference[] = [];
  for (const job of jobs) references.push(await referenceRun(job, walking.site));
  for (const computed of given.budgets.split(',').map(Number)) {
    const found = await triedPaths(references, computed, { ...walking, rectify: 'lsq' });
    const chosen = new Map<Tried, number[]>();
    for (const weight of WEIGHTS) {
      const best = found.reduce((a, b) => (qualityOf(b.errors, weight) > qualityOf(a.errors, weight) ? b : a));
      chosen.set(best, [...(chosen.get(best) ?? []), weight]);
    }
    for (const [{ reused }, weights] of chosen) {
      const policy = await calibrate(model, { pairs: calibration, steps: STEPS, guidance, schedule: { reused } });
      const fidelity = fidelityOf(await scorePolicy(model, policy, evaluation, { batch: 8 }));
      console.log(`${computed} of ${STEPS}, weight ${weights.join(', ')}: ${scheduleOf(reused)}`);
      console.log(`  ${fidelityText(fidelity)}`);
    }
  }
  for (const reference of references) reference.dispose();
  for (const job of jobs) job.release();
  model.dispose();
}

void main();
