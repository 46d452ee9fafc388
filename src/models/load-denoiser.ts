import { availableMemory } from '../engine/memory';
import { parseConfig } from '../io/parse-config';
import { type ComputeType, requireComputeType } from '../nn/bfloat16';
import type { Denoiser } from '../transformer/denoiser';
import { loadStore } from '../weights/load';
import type { ModelComponent } from '../weights/model-folder';
import { parameterCount, type WeightStore } from '../weights/parameters';
import { streamedStore } from '../weights/streamed-store';
import type { TableOf } from '../weights/tables';
import { familyOf } from './families';
import { withKnownNames } from './known-names';
import { requireMemory, weightBytes } from './room';

export interface LoadDenoiserOptions {
  /**
   * Leaves the blocks on disk and brings in one at a time, for models larger than memory. The denoiser's store then
   * owns the component's source: leave it open, `denoiser.weights.dispose()` closes it.
   */
  readonly offload?: boolean | undefined;
  /** What the blocks' products are computed in; `bfloat16` (native only) keeps their matrices in half the memory. */
  readonly dtype?: ComputeType | undefined;
}

/** A transformer that is ready to run. Its store, `denoiser.weights`, is the caller's to dispose. */
export interface LoadedDenoiser {
  readonly denoiser: Denoiser;
  readonly parameters: number;
  /** Memory that its weights take while it runs. */
  readonly bytes: number;
  /** The class and the configuration by the terms of diffusers, whatever the checkpoint's layout was. */
  readonly className: string;
  readonly config: unknown;
}

const tableOf: TableOf = (className, config) => {
  const known = familyOf(className);
  return known.parameters(parseConfig(known.schema, config, `The configuration of ${className}`));
};

/**
 * Loads a transformer into the active backend, from a hub's folder, the authors' own layout or a converted model.
 * @throws CheckpointError when the weights do not fit the configuration, MemoryError when they would not fit in memory,
 *   UnsupportedError for a type that the backend does not compute in
 */
export async function loadDenoiser(
  component: ModelComponent,
  options: LoadDenoiserOptions = {},
): Promise<LoadedDenoiser> {
  const { dtype } = options;
  requireComputeType(dtype);
  const { className, config, source, where } = withKnownNames(component, tableOf);
  const known = familyOf(className);
  const parsed = parseConfig(known.schema, config, where);
  const table = known.parameters(parsed);
  const blocks = known.blockNames(parsed);
  const parameters = parameterCount(table);
  requireMemory({ bytes: weightBytes(table, { ...options, blocks }) }, `${where}, its weights alone,`);
  // Every step reads every block again: what memory cannot keep is not worth a place in the system's cache.
  const stored = table.reduce((sum, { name, lookup }) => sum + (lookup ? 0 : source.entry(name).bytes), 0);
  if (options.offload && stored > availableMemory() / 2) source.bypassCache();
  const store: WeightStore = options.offload
    ? await streamedStore(source, table, { where, blocks, dtype })
    : await loadStore(source, table, { where, blocks, dtype });
  return { denoiser: known.create(parsed, store), parameters, bytes: store.bytes, className, config: parsed };
}
