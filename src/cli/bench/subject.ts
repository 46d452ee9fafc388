import { UnsupportedError, UsageError } from '../../errors';
import type { LoadedAutoencoder } from '../../lab/timing/bench-decode';
import { loadAutoencoder, syntheticAutoencoder } from '../../lab/timing/bench-decode';
import { type Described, shortened, syntheticDenoiser } from '../../lab/timing/bench-model';
import { familyOf, modelClassNames } from '../../models/families';
import { type LoadedDenoiser, loadDenoiser } from '../../models/load-denoiser';
import { preset, presetNames } from '../../models/presets';
import type { Demand } from '../../models/workload';
import { workload } from '../../models/workload-of';
import type { ComputeType } from '../../nn/bfloat16';
import { loadModel, locateModel } from '../../pipelines/load';
import { openNamed } from '../../pipelines/open';
import { usualDemand } from '../../pipelines/usual-demand';
import type { PictureSize, Pipeline } from '../../sampling/pipeline';
import { componentOf } from '../../weights/open-model';

/** What is timed, each part loaded when its turn comes. */
export interface Subject {
  /** The transformer before it was shortened. */
  readonly published: Described;
  /** A size that is usual for this model, where it is not its class's. */
  readonly demand: Demand;
  readonly size: (demand: Demand) => PictureSize;
  transformer(): Promise<LoadedDenoiser>;
  autoencoder(): Promise<LoadedAutoencoder>;
  pipeline(): Promise<Pipeline>;
}

export interface SubjectOptions {
  readonly model: string;
  readonly synthetic: boolean;
  readonly offload: boolean;
  readonly dtype: ComputeType;
  readonly blocks?: number | undefined;
  readonly variant?: string | undefined;
  readonly transformer?: string | undefined;
}

/** Finds what `bench` is to time, and loads nothing yet. */
export async function subjectOf(options: SubjectOptions): Promise<Subject> {
  const { model, synthetic, blocks } = options;
  if (synthetic) return syntheticSubject(options);
  if (presetNames().includes(model)) {
    throw new UsageError(`${model} names a published model, whose weights are not here.`, {
      hint: 'Give its folder, or --synthetic for made-up weights.',
    });
  }
  if (blocks !== undefined) throw new UsageError('--blocks goes with --synthetic.');
  return folderSubject(options);
}

function syntheticSubject({ model, offload, blocks, dtype, variant, transformer: file }: SubjectOptions): Subject {
  if (offload) throw new UsageError('Made-up weights are on no disk, so --offload has nothing to read.');
  const named = variant !== undefined ? '--variant' : file !== undefined ? '--transformer' : undefined;
  if (named) throw new UsageError(`${named} names weights, and --synthetic makes them up.`, { hint: `Omit ${named}.` });
  const { transformer, autoencoder } = preset(model);
  const published = { className: transformer._class_name, config: transformer };
  const described = blocks === undefined ? published : shortened(published, blocks);
  return {
    published,
    demand: {},
    size: demand => workload(published.className, published.config, demand).size,
    transformer: async () => syntheticDenoiser(described, { dtype }),
    async autoencoder() {
      if (autoencoder) return syntheticAutoencoder(autoencoder);
      throw noAutoencoder(model);
    },
    async pipeline() {
      throw new UsageError('Made-up weights draw no whole samples: they have no text encoder.', {
        hint: 'Omit sample from --parts, or give the folder of a whole pipeline.',
      });
    },
  };
}

async function folderSubject({ model, offload, dtype, variant, transformer: file }: SubjectOptions): Promise<Subject> {
  const folder = locateModel(model);
  const opening = { variant, ...(file !== undefined && { transformer: { path: file } }) };
  const opened = await openNamed(folder, opening);
  const component = componentOf(opened, 'transformer');
  const demand = await usualDemand(opened);
  return {
    published: component,
    demand,
    size: wanted => workload(component.className, component.config, { ...demand, ...wanted }).size,
    transformer: () => loadDenoiser(component, { offload, dtype }),
    async autoencoder() {
      const found = opened.components.get('vae');
      if (found) return loadAutoencoder(found);
      throw noAutoencoder(folder);
    },
    pipeline: () => loadModel(folder, { offload, dtype, ...opening }),
  };
}

function noAutoencoder(model: string): UnsupportedError {
  return new UnsupportedError(`${model} has no autoencoder: there is nothing to decode.`, {
    hint: 'Omit decode from --parts.',
  });
}

/** The sampler of the first preset of a class. */
export function schedulerOf(className: string): { readonly _class_name: string } {
  const published = modelClassNames().includes(className) ? familyOf(className).presets[0] : undefined;
  if (published) return published.scheduler;
  throw new UsageError(`Runs of the class ${className} cannot be timed.`, {
    hint: `Known classes: ${modelClassNames().join(', ')}.`,
  });
}
