import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { guidanceGap } from '../cache/familiar';
import { reuseLast } from '../cache/predictor';
import type { Site } from '../cache/sites';
import { NumericError } from '../errors';
import { parseState, type State, tensorState } from '../nn/state';
import type { Job } from '../sampling/pipeline';
import { inTurn } from './in-turn';
import { rehearse, releaseLook, rowNorms } from './rehearsal';
import { asksWhole, type WholeJob } from './whole-runs';

/** The uncached run of one job: the trajectory that caching should keep to. */
export interface Reference {
  readonly job: Job;
  /** Where its guidance lies in the range that is calibrated, -1 … 1; absent where all runs have one guidance. */
  readonly place?: number | undefined;
  /** Latents before every step and after the last; length N + 1. */
  readonly samples: readonly tf.Tensor[];
  /** Guided outputs of every step. */
  readonly outputs: readonly tf.Tensor[];
  /** L1 norm of the true residual, `[step][row of every branch]`. */
  readonly residualNorms: readonly (readonly number[])[];
  /** How far guidance's outputs lie apart, `[step][row]`; empty where guidance has none. */
  readonly gaps: readonly (readonly number[])[];
  dispose(): void;
}

/**
 * Runs a job without caching and keeps what calibration compares with.
 * @param onStep called after every step
 * @throws NumericError when the model's output is not finite
 */
export async function referenceRun(
  job: Job,
  site: Site,
  options: {
    onStep?: (() => void | Promise<void>) | undefined;
    signal?: AbortSignal | undefined;
    place?: number | undefined;
  } = {},
): Promise<Reference> {
  if (asksWhole(job)) return farReference(job, site, options);
  const run = rehearse(job, { site, predictor: reuseLast, ...(options.signal && { signal: options.signal }) });
  const samples = [run.sample().clone()];
  const outputs: tf.Tensor[] = [];
  const residualNorms: number[][] = [];
  const gaps: number[][] = [];
  const dispose = (): void => tf.dispose([...samples, ...outputs]);
  try {
    for (let i = 0; i < job.sigmas.length - 1; i++) {
      const look = await run.look(i, 'truth');
      const truth = look.truth!;
      try {
        residualNorms.push((await inTurn(truth.residuals, rowNorms)).flat());
        requireFinite([...residualNorms[i]!, ...(await rowNorms(truth.output.value))], i);
        gaps.push((await guidanceGap(truth.output.parts)) ?? []);
        outputs.push(truth.output.value.clone());
        run.advance(i, truth, 'compute');
        samples.push(run.sample().clone());
      } finally {
        releaseLook(look);
      }
      await options.onStep?.();
    }
    return { job, place: options.place, samples, outputs, residualNorms, gaps, dispose };
  } catch (error) {
    dispose();
    throw error;
  } finally {
    run.dispose();
  }
}

const seenSchema = z.object({
  samples: z.array(tensorState),
  outputs: z.array(tensorState),
  residualNorms: z.array(z.array(z.number())),
  gaps: z.array(z.array(z.number())),
});

/** What an uncached run has shown, without the job. */
export const referenceState = ({ samples, outputs, residualNorms, gaps }: Reference): State => ({
  samples,
  outputs,
  residualNorms,
  gaps,
});

/** Has the whole run made where the model is. */
async function farReference(
  job: WholeJob,
  site: Site,
  { signal, place, onStep }: Parameters<typeof referenceRun>[2] & {},
): Promise<Reference> {
  const seen = parseState(seenSchema, await job.far.ask({ kind: 'uncached', site: site.name }, signal));
  for (const _ of seen.outputs) await onStep?.();
  return { job, place, ...seen, dispose: () => tf.dispose([...seen.samples, ...seen.outputs]) };
}

function requireFinite(norms: readonly number[], index: number): void {
  if (norms.every(Number.isFinite)) return;
  throw new NumericError(`The model's output at step ${index + 1} is not finite.`, {
    hint: 'Check the checkpoint with `ertacache info`, and the guidance and step count.',
  });
}

/**
 * Where the uncached run is at a noise level between its own: Euler steps are straight lines, so this is exact.
 * @returns a new tensor
 */
export function referenceAt(reference: Reference, sigma: number): tf.Tensor {
  const { sigmas } = reference.job;
  const after = sigmas.findIndex(s => s <= sigma);
  const i = Math.max(1, after === -1 ? sigmas.length - 1 : after);
  const [from, to] = [sigmas[i - 1] as number, sigmas[i] as number];
  const share = (from - sigma) / (from - to);
  const [a, b] = [reference.samples[i - 1] as tf.Tensor, reference.samples[i] as tf.Tensor];
  return tf.tidy(() => tf.add(tf.mul(a, 1 - share), tf.mul(b, share)));
}
