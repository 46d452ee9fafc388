import { type CalibrateOptions, calibrate, calibrationForwards } from '../../calibration/calibrate';
import { measurePolicy } from '../../calibration/measure';
import { heldOutPairs, splitPairs } from '../../calibration/pairs';
import { serializePolicy } from '../../policy/bytes';
import { computedSteps, type Policy, type PolicyData, reusedOf } from '../../policy/data';
import { policyHash } from '../../policy/hash';
import type { Pair } from '../../policy/pair';
import type { Pipeline } from '../../sampling/pipeline';
import { policyInfo, readPolicyFiles } from '../load/policies';
import type { Calls } from '../protocol';
import type { Calibrated, CalibrateRequest } from '../types';
import { requireSchedule } from './hand-made';
import { watch } from './progress';
import type { Entry, Job } from './session';

/** Calibrates a policy, measures it, and adds it to those of the model. */
export async function calibrateFor(
  { pipeline, policies }: Entry,
  request: CalibrateRequest,
  { signal, tell }: Job<Calls['calibrate']['told']>,
): Promise<Calibrated> {
  const { info } = pipeline;
  const { prompts = info.prompts, pairs = 16, heldOut = 8, batch = 8 } = request;
  const { calibration, evaluation } = splitPairs(prompts, pairs, heldOut);
  const options = optionsOf(pipeline, { ...request, batch }, calibration);
  const most = calibrationForwards(options);
  const total = most + 2 * (calibration.length + evaluation.length) * options.steps;
  const progress = watch(value => tell('progress', value));
  const onProgress = (done: number): void => progress.at(done, total, 'calibrating');
  const started = performance.now();
  const policy = await calibrate(pipeline, { ...options, signal, onProgress });
  let measured = most;
  const onPasses = (count: number): void => {
    measured += count;
    progress.at(measured, total, 'measuring');
  };
  const fidelity = (some: readonly Pair[]) => measurePolicy(pipeline, policy, some, { batch, signal, onPasses });
  const whole = withMeasured(policy, {
    calibration: await fidelity(calibration),
    ...(evaluation.length > 0 && { heldOut: await fidelity(heldOutPairs(evaluation, policyHash(policy))) }),
  });
  progress.at(total, total, 'done');
  const computed = computedSteps(reusedOf(policy.data.schedule));
  const name = `${info.id}-${options.steps}steps-g${options.guidance}-${computed}`;
  const files = { name, ...(await serializePolicy(whole, `${name}.json`)) };
  // As its files have it, which hold fewer digits: what is drawn here is then drawn there.
  const named = await readPolicyFiles(files);
  policies.add(named);
  return { policy: policyInfo(named), files, seconds: (performance.now() - started) / 1000 };
}

function withMeasured(policy: Policy, measured: PolicyData['measured']): Policy {
  return { ...policy, data: { ...policy.data, measured } };
}

function optionsOf({ info }: Pipeline, request: CalibrateRequest, pairs: readonly Pair[]): CalibrateOptions {
  const { schedule, search, trials, site, taylor, timestep, rectify, name, batch } = request;
  const byHand = schedule && 'schedule' in schedule ? requireSchedule(schedule.schedule) : undefined;
  const steps = request.steps ?? byHand?.length ?? info.defaults.steps;
  const asked =
    schedule && 'lambda' in schedule
      ? { lambda: schedule.lambda }
      : byHand
        ? { reused: reusedOf(byHand) }
        : { computed: schedule && 'computed' in schedule ? schedule.computed : Math.round(steps / 2), search, trials };
  const guidance = request.guidance ?? info.defaults.guidance;
  return { schedule: asked, pairs, steps, guidance, batch, site, taylor, timestep, rectify, name };
}
