/**
 * Two transformers of one pipeline (Wan2.2-A14B): the first draws while there is much noise, the second takes over below
 * a boundary of the noise.
 */
import type * as tf from '@tensorflow/tfjs-core';
import { evaluateDenoiser } from '../cache/evaluation';
import { ConfigError } from '../errors';
import { note } from '../io/notes';
import { isRecord } from '../io/plain-json';
import { tidy } from '../nn/scope';
import { type Branch, type Guide, separateGuidance } from '../sampling/guidance';
import type { Denoiser } from '../transformer/denoiser';

/** The folders of the two, in the order in which they are run. */
export const EXPERTS = ['transformer', 'transformer_2'] as const;

/** Which of the two: 0 above the boundary, 1 below. */
export type Expert = 0 | 1;

/** The transformers of a pipeline that has two, each loaded when it is first needed. */
export interface Experts {
  /** Share of the sampler's times at which the second takes over. */
  readonly boundary: number;
  /**
   * One of the two. Where only one may be in memory at a time, the other is released, unless it is in use.
   * @param expert which
   * @returns the denoiser; it stays loaded until `giveBack` is called as often as this
   */
  borrow(expert: Expert): Promise<Denoiser>;
  /** @param expert what is in use no longer */
  giveBack(expert: Expert): void;
}

/**
 * What a `model_index.json` says of a second transformer.
 * @param second whether there is one
 * @returns the boundary; undefined where only the first is run
 * @throws ConfigError for a boundary that is none, or at which nothing takes over
 */
export function boundaryOf(index: unknown, second: boolean, where: string): number | undefined {
  const boundary = (isRecord(index) ? index.boundary_ratio : undefined) ?? undefined;
  if (boundary === undefined) {
    if (second) note(`${where} says no boundary_ratio, so transformer_2 is never run, as in diffusers.`);
    return undefined;
  }
  if (typeof boundary !== 'number' || !(boundary >= 0 && boundary <= 1)) {
    throw new ConfigError(`${where}: boundary_ratio must be a number from 0 to 1.`, {
      hint: 'Take model_index.json from the repository of the model.',
    });
  }
  if (second) return boundary;
  if (boundary === 0) return undefined;
  throw new ConfigError(`${where}: below boundary_ratio ${boundary} transformer_2 takes over, and there is none.`, {
    hint: 'Take transformer_2 from the same repository, and list it in model_index.json.',
  });
}

/**
 * Lends two denoisers.
 * @param load loads one; what it gives is released here
 * @param onlyOne whether one is released before the other is loaded
 */
export function lending(
  boundary: number,
  load: (expert: Expert) => Promise<Denoiser>,
  onlyOne: boolean,
): Experts & { isLoaded(expert: Expert): boolean; dispose(): void } {
  const places = [0, 1].map(() => ({ loaded: undefined as Promise<Denoiser> | undefined, users: 0 }));
  const at = (expert: Expert): (typeof places)[number] => places[expert] as (typeof places)[number];
  const drop = (expert: Expert): void => {
    const { loaded } = at(expert);
    at(expert).loaded = undefined;
    void loaded?.then(
      ({ weights }) => weights.dispose(),
      () => {},
    );
  };
  return {
    boundary,
    async borrow(expert) {
      const place = at(expert);
      const other = (1 - expert) as Expert;
      place.users++;
      try {
        if (onlyOne && at(other).users === 0) drop(other);
        place.loaded ??= load(expert);
        return await place.loaded;
      } catch (error) {
        place.users--;
        place.loaded = undefined;
        throw error;
      }
    },
    giveBack(expert) {
      at(expert).users--;
    },
    isLoaded: expert => at(expert).loaded !== undefined,
    dispose() {
      drop(0);
      drop(1);
    },
  };
}

/** Which of the two is called at a time, as diffusers' `WanPipeline` decides it. */
export const expertAt =
  ({ boundary }: Pick<Experts, 'boundary'>, trainTimesteps: number) =>
  (timestep: number): Expert =>
    timestep >= boundary * trainTimesteps ? 0 : 1;

/** The step at which the second takes over; undefined where one of the two takes all steps. */
export function takeoverOf(timesteps: readonly number[], at: (timestep: number) => Expert): number | undefined {
  const step = timesteps.findIndex(timestep => at(timestep) === 1);
  return step > 0 ? step : undefined;
}

/** What a branch of two models is made of. */
export interface ExpertBranch {
  readonly name: string;
  readonly experts: Experts;
  readonly at: (timestep: number) => Expert;
  /** What a model is told; it stays the caller's and must outlive the branch. */
  readonly condition: object;
  /** Of the latent. */
  readonly shape: readonly number[];
  /** Takes what a model made of the condition, to be released with the job. */
  keep(context: unknown): void;
}

/** A branch that calls the one of two models whose time it is. What they make of the condition is made once. */
export function expertBranch({ name, experts, at, condition, shape, keep }: ExpertBranch): Branch {
  const contexts: unknown[] = [];
  // One for each model: where runs are made on other machines, calls at two times may be under way at once.
  const models: Denoiser[] = [];
  return {
    name,
    expert: at,
    async enter(timestep) {
      const expert = at(timestep);
      const model = await experts.borrow(expert);
      try {
        models[expert] = model;
        if (contexts[expert] === undefined) {
          contexts[expert] = tidy(() => model.prepare(condition, shape));
          keep(contexts[expert]);
        }
      } catch (error) {
        experts.giveBack(expert);
        throw error;
      }
      return () => experts.giveBack(expert);
    },
    evaluate: (sample: tf.Tensor, timestep, signal) =>
      evaluateDenoiser(models[at(timestep)] as Denoiser, sample, timestep, contexts[at(timestep)], signal),
  };
}

/** Guidance whose strength is that of the model whose time it is. */
export function expertGuidance(scales: readonly [number, number], at: (timestep: number) => Expert): Guide {
  const guides = scales.map(separateGuidance) as [Guide, Guide];
  return { ...guides[0], combine: (parts, step) => guides[at(step.timestep)].combine(parts, step) };
}
