import * as tf from '@tensorflow/tfjs-core';
import { type Evaluation, evaluateDenoiser } from '../cache/evaluation';
import type { Denoiser } from '../transformer/denoiser';

/** One call of a model at every step. */
export interface Branch {
  /** What tells the branches apart, such as `conditional`. */
  readonly name: string;
  /**
   * The model at one latent and time, of which nothing is computed yet; its caller releases it.
   * @param sample the run's latent, which stays the caller's and must outlive the evaluation
   * @param timestep in the solver's units
   * @param signal stops the evaluation where it can be stopped
   * @returns the evaluation; its caller releases it
   */
  evaluate(sample: tf.Tensor, timestep: number, signal?: AbortSignal): Evaluation;
  /**
   * Of branches of several models: which of them is called at a time. What is kept of one is of no use to another.
   * @param timestep in the solver's units
   * @returns the number of the model
   */
  expert?(timestep: number): number;
  /**
   * Of branches whose model may have to be loaded: to be awaited before `evaluate` is called at that time.
   * @param timestep in the solver's units
   * @returns what says that the evaluation is released
   */
  enter?(timestep: number): Promise<() => void>;
}

/** What a branch of a denoiser is made of. */
export interface DenoiserBranch {
  readonly name: string;
  readonly model: Denoiser;
  /** What `Denoiser.prepare` made for this branch. */
  readonly context: unknown;
  /** The latent as this branch's model takes it; a new tensor. */
  readonly expand: (sample: tf.Tensor) => tf.Tensor;
}

/** A branch that calls a denoiser. */
export function denoiserBranch({ name, model, context, expand }: DenoiserBranch): Branch {
  return {
    name,
    evaluate(sample, timestep, signal) {
      const expanded = expand(sample);
      const evaluation = evaluateDenoiser(model, expanded, timestep, context, signal);
      return {
        ...evaluation,
        release() {
          evaluation.release();
          expanded.dispose();
        },
      };
    },
  };
}

/** Where in a run guidance is asked for. */
export interface GuidedStep {
  /** From 0. */
  readonly index: number;
  /** Noise level of the step. */
  readonly sigma: number;
  /** In the solver's units. */
  readonly timestep: number;
}

/**
 * How the outputs of all branches become the one prediction that the solver gets. Between the two lie the parts, such
 * as the conditional and the unconditional output, which a correction may weigh on their own.
 */
export interface Guide {
  /** Names of the parts, in the order of `split`. */
  readonly parts: readonly string[];
  /**
   * The outputs of all branches, cut into parts; new tensors.
   * @param outputs one a branch, in their order; they stay the caller's
   * @returns one tensor a part; the caller disposes them
   */
  split(outputs: readonly tf.Tensor[]): tf.Tensor[];
  /**
   * The prediction that the parts make; a new tensor.
   * @param parts one tensor a part; they stay the caller's
   * @param step for guidance that changes over the run
   * @returns the guided prediction; the caller disposes it
   */
  combine(parts: readonly tf.Tensor[], step: GuidedStep): tf.Tensor;
}

const copies = (outputs: readonly tf.Tensor[]): tf.Tensor[] => outputs.map(output => output.clone());
const GUIDED_PARTS = ['conditional', 'unconditional'] as const;

/** A single branch, no guidance. */
export const unguided: Guide = {
  parts: ['output'],
  split: copies,
  combine: ([output]) => (output as tf.Tensor).clone(),
};

/** `u + g · (c - u)`. */
export function guided(conditional: tf.Tensor, unconditional: tf.Tensor, scale: number): tf.Tensor {
  return tf.tidy(() => tf.add(unconditional, tf.mul(tf.sub(conditional, unconditional), scale)));
}

/** Classifier-free guidance from two calls, conditional first. */
export function separateGuidance(scale: number): Guide {
  return {
    parts: GUIDED_PARTS,
    split: copies,
    combine: ([conditional, unconditional]) => guided(conditional as tf.Tensor, unconditional as tf.Tensor, scale),
  };
}

/**
 * Guidance in a part of the run, and none outside: there the first part, which is the conditional one, is the prediction.
 * @param guide guidance of two parts
 * @param interval from and to this share of the way from noise to picture, both included; the whole way unless given
 * @param wayOf how far a step has come; what is not noise of its latent, unless given
 */
export function within(
  guide: Guide,
  interval: readonly [from: number, to: number] | undefined,
  wayOf = ({ sigma }: GuidedStep): number => 1 - sigma,
): Guide {
  if (!interval) return guide;
  const [from, to] = interval.map(Math.fround) as [number, number];
  const isInside = (step: GuidedStep): boolean => {
    const time = Math.fround(wayOf(step));
    return time >= from && time <= to;
  };
  return {
    ...guide,
    combine: (parts, step) => (isInside(step) ? guide.combine(parts, step) : (parts[0] as tf.Tensor).clone()),
  };
}

/** Classifier-free guidance from one call on a doubled batch, conditional rows first. */
export function batchedGuidance(scale: number): Guide {
  return { ...separateGuidance(scale), split: ([both]) => tf.split(both as tf.Tensor, 2) };
}

/** The latent twice, for `batchedGuidance`. */
export const doubled = (sample: tf.Tensor): tf.Tensor => tf.concat([sample, sample]);
/** The latent once. */
export const single = (sample: tf.Tensor): tf.Tensor => sample.clone();
