import { availableMemory } from '../engine/memory';
import { parseConfig } from '../io/parse-config';
import { type ComputeType, requireComputeType } from '../nn/bfloat16';
import type { Denoiser } from '../transformer/denoiser';
import { loadStore } from '../weights/load';
import type { LoraFile } from '../weights/lora/adapter';
import { type Merges, openMerges } from '../weights/lora/merge';
import type { ModelComponent } from '../weights/model-folder';
import { packedBytes, packedStore } from '../weights/packed-store';
import { type ParameterTable, parameterCount, type WeightStore } from '../weights/parameters';
import { streamedStore } from '../weights/streamed-store';
import type { TableOf } from '../weights/tables';
import { familyOf } from './families';
import type { Family } from './family';
import { withKnownNames } from './known-names';
import { adapterModules } from './loras';
import { requireMemory, weightBytes } from './room';

export interface LoadDenoiserOptions {
  /**
   * Leaves the blocks on disk and brings in one at a time, for models larger than memory. The denoiser's store then
   * owns the component's source: leave it open, `denoiser.weights.dispose()` closes it.
   */
  readonly offload?: boolean | undefined;
  /** What the blocks' products are computed in; `bfloat16` (native only) keeps their matrices in half the memory. */
  readonly dtype?: ComputeType | undefined;
  /** LoRAs that are merged into the weights as they are read, one after the other. */
  readonly loras?: readonly LoraFile[] | undefined;
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

/** What is known of a transformer before a value of it is read. */
interface Plan {
  readonly known: Family;
  readonly parsed: unknown;
  readonly table: ParameterTable;
  readonly blocks: readonly string[];
  /** Bytes of its blocks, where they stay in memory as they are stored. */
  readonly packed: number | undefined;
  readonly named: ModelComponent;
}

function planOf(component: ModelComponent): Plan {
  const named = withKnownNames(component, tableOf);
  const known = familyOf(named.className);
  const parsed = parseConfig(known.schema, named.config, named.where);
  const table = known.parameters(parsed);
  const blocks = known.blockNames(parsed);
  return { known, parsed, table, blocks, packed: packedBytes(named.source, table, blocks), named };
}

/** Bytes of memory that the weights of a transformer will take; nothing is read. @throws CheckpointError */
export function denoiserBytes(component: ModelComponent, { dtype, offload }: LoadDenoiserOptions): number {
  const { table, blocks, packed } = planOf(component);
  return weightBytes(table, { dtype, offload, blocks, packed });
}

/**
 * Loads a transformer into the active backend, from a hub's folder, the authors' own layout or a converted model.
 * @throws CheckpointError when the weights do not fit the configuration, MemoryError when they would not fit in memory,
 *   UnsupportedError for a type that the backend does not compute in
 */
export async function loadDenoiser(
  component: ModelComponent,
  options: LoadDenoiserOptions = {},
): Promise<LoadedDenoiser> {
  const { dtype, offload } = options;
  requireComputeType(dtype);
  const { known, parsed, table, blocks, packed, named } = planOf(component);
  const { className, source, where } = named;
  const parameters = parameterCount(table);
  requireMemory({ bytes: weightBytes(table, { dtype, offload, blocks, packed }) }, `${where}, its weights alone,`);
  // Every step reads every block again: what memory cannot keep is not worth a place in the system's cache.
  const stored = table.reduce((sum, { name, lookup }) => sum + (lookup ? 0 : source.entry(name).bytes), 0);
  if (offload && stored > availableMemory() / 2) source.bypassCache();
  const { loras = [] } = options;
  const merges = loras.length > 0 ? await openMerges(loras, adapterModules(known, table)) : undefined;
  const open = offload ? streamedStore : packed === undefined ? loadStore : packedStore;
  const store = await merging(merges, () => open(source, table, { where, blocks, dtype, merges }), open !== loadStore);
  return { denoiser: known.create(parsed, store), parameters, bytes: store.bytes, className, config: parsed };
}

/** Closes LoRAs where the store does not: those that read blocks again when they are used keep them open. */
async function merging(
  merges: Merges | undefined,
  open: () => Promise<WeightStore>,
  isKept: boolean,
): Promise<WeightStore> {
  let isOpen = false;
  try {
    const store = await open();
    isOpen = isKept;
    return store;
  } finally {
    if (!isOpen) await merges?.close();
  }
}
