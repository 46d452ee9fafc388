import type * as tf from '@tensorflow/tfjs-core';
import { UnsupportedError } from '../../errors';
import { parseConfig } from '../../io/parse-config';
import { familyOf } from '../../models/families';
import { noiseRows, type Synthetic } from '../../models/synthetic';
import type { Workload } from '../../models/workload';
import { release } from '../../nn/scope';
import {
  batchedGuidance,
  denoiserBranch,
  doubled,
  type Guide,
  separateGuidance,
  single,
  unguided,
} from '../../sampling/guidance';
import type { Job } from '../../sampling/pipeline';
import { dynamicShift, flowMatchEulerConfig, linspace } from '../../schedulers/flow-match-euler';
import type { GridOptions } from '../../schedulers/grid';
import { schedulerClass } from '../../schedulers/registry';
import type { Denoiser } from '../../transformer/denoiser';
import { velocityOnly } from '../../transformer/velocity-only';

/** Made-up inputs for a transformer: its text is noise. */
export interface SyntheticInputs {
  readonly className: string;
  /** The configuration as its class's schema gives it. */
  readonly config: unknown;
  readonly work: Workload;
}

export interface SyntheticRun extends SyntheticInputs {
  readonly model: Denoiser;
  /** What a `scheduler_config.json` says. */
  readonly scheduler: { readonly _class_name: string };
  readonly steps: number;
  /** Strength of classifier-free guidance; 1 is none. */
  readonly guidance: number;
  /** One row for every seed: it makes the row's text and starting noise. */
  readonly seeds: readonly number[];
}

/** @throws UnsupportedError for a family that has none */
export function syntheticOf(className: string): Synthetic {
  const { synthetic, title } = familyOf(className);
  if (synthetic) return synthetic;
  throw new UnsupportedError(`${title} has no made-up inputs, so its transformer cannot be timed.`, {
    hint: 'Time whole samples of a folder: bench --model FOLDER --parts sample.',
  });
}

/** A condition of `seeds.length` rows for a model of this class; release it with `release`. */
export function syntheticCondition(inputs: SyntheticInputs, seeds: readonly number[]): object {
  const { className, config, work } = inputs;
  return syntheticOf(className).condition(config, work, seeds);
}

/** A latent of noise `[B, …]`. */
export function syntheticLatents({ work }: SyntheticInputs, seeds: readonly number[]): tf.Tensor {
  return noiseRows(seeds, work.latent.slice(1));
}

/** A run of a transformer with its own sampler, ready to go; no text encoder and no autoencoder are needed. */
export function syntheticJob(run: SyntheticRun): Job {
  const { work, steps, seeds } = run;
  const model = velocityOnly(run.model, work.latent[work.channelAxis]!, work.channelAxis);
  const known = schedulerClass(run.scheduler._class_name);
  const config = parseConfig(known.schema, run.scheduler, 'The scheduler');
  const grid = known.grid(config, { steps, ...work.size, ...fluxGrid(run) });

  // Text that no row has: what a row is steered away from.
  const against = seeds.map(seed => seed + 1_000_000);
  const { guidance: usual } = syntheticOf(run.className);
  const isGuided = run.guidance !== 1 && usual !== 'embedded';
  const guidance = isGuided ? usual : 'embedded';
  const contexts: unknown[] = [];
  const contextOf = (rows: readonly number[]): unknown => {
    const condition = syntheticCondition(run, rows);
    const context = model.prepare(condition, [rows.length, ...work.latent.slice(1)]);
    release(condition);
    contexts.push(context);
    return context;
  };
  const branches =
    guidance === 'batched'
      ? [denoiserBranch({ name: 'guided', model, context: contextOf([...seeds, ...against]), expand: doubled })]
      : [
          denoiserBranch({ name: 'conditional', model, context: contextOf(seeds), expand: single }),
          ...(guidance === 'separate'
            ? [denoiserBranch({ name: 'unconditional', model, context: contextOf(against), expand: single })]
            : []),
        ];
  const guides: Record<typeof guidance, Guide> = {
    embedded: unguided,
    separate: separateGuidance(run.guidance),
    batched: batchedGuidance(run.guidance),
  };
  const latents = syntheticLatents(run, seeds);
  return {
    branches,
    guide: guides[guidance],
    latents,
    sigmas: grid.sigmas,
    channelAxis: work.channelAxis,
    solver: sigmas => known.create(config, sigmas ? gridFor(sigmas) : grid),
    release() {
      release(contexts);
      latents.dispose();
    },
  };

  /** The times of a discrete sampler stay as they are; any others are refused by it. */
  function gridFor(sigmas: readonly number[]): ReturnType<typeof known.grid> {
    const isOwn = sigmas.length === grid.sigmas.length && sigmas.every((sigma, i) => sigma === grid.sigmas[i]);
    return isOwn ? grid : known.gridAt(config, sigmas);
  }
}

/** FLUX shifts its times by the number of tokens. */
function fluxGrid({ scheduler, work, steps }: SyntheticRun): Partial<GridOptions> {
  const parsed = flowMatchEulerConfig.safeParse(scheduler);
  if (!parsed.success) return {};
  const sigmas = linspace(1, 1 / steps, steps);
  return parsed.data.use_dynamic_shifting ? { sigmas, mu: dynamicShift(parsed.data, work.tokens) } : { sigmas };
}
