import { elements } from '../dtype';
import { type Adapter, openAdapter } from './adapter';
import { adapterKey, isOfTextEncoder } from './keys';
import type { LoraPath } from './on-disk';
import { loraAt } from './on-disk';
import { grouped } from './plan';
import type { ModuleTensors } from './terms';

/** What a LoRA is, without the model that it is for. */
export interface LoraDescription {
  readonly path: string;
  readonly kind: 'lora';
  /** How its updates are written, with the number of modules of each: `LoRA`, `LoHa`, `LoKr`, `difference`. */
  readonly updates: Readonly<Record<string, number>>;
  /** Modules whose norms are given apart (DoRA). */
  readonly dora: number;
  /** Names of some modules, as the file writes them. */
  readonly modules: readonly string[];
  /** Least and largest rank, where there are any. */
  readonly ranks?: readonly [number, number];
  readonly tensors: number;
  readonly parameters: number;
  readonly bytes: number;
  readonly dtypes: readonly string[];
  /** Tensors for text encoders, which are not merged. */
  readonly ofTextEncoders: number;
}

/** Whether these are the tensors of a LoRA: every one has a part in it. */
export function isAdapter(names: readonly string[]): boolean {
  return names.length > 0 && names.every(name => adapterKey(name) !== undefined);
}

/**
 * Describes a LoRA on disk; undefined for what is none.
 * @throws CheckpointError for one that is broken
 */
export async function describeLora(where: LoraPath): Promise<LoraDescription | undefined> {
  const adapter = await loraAt(where).then(openAdapter);
  try {
    return isAdapter(adapter.source.names) ? described(where.path, adapter) : undefined;
  } finally {
    await adapter.source.close();
  }
}

function described(path: string, adapter: Adapter): LoraDescription {
  const { source } = adapter;
  const names = source.names.filter(name => !isOfTextEncoder(name));
  const groups = [...grouped(names, adapter).values()];
  const updates: Record<string, number> = {};
  for (const kind of groups.flatMap(updatesOf)) updates[kind] = (updates[kind] ?? 0) + 1;
  const ranks = groups.flatMap(({ keys }) => {
    const down = keys.get('down') ?? keys.get('hada_w1_b') ?? keys.get('lokr_w1_b') ?? keys.get('lokr_w2_b');
    return down === undefined ? [] : [source.entry(down).shape[0] ?? 0];
  });
  const entries = source.names.map(name => source.entry(name));
  return {
    path,
    kind: 'lora',
    updates,
    dora: groups.filter(({ keys }) => keys.has('magnitude')).length,
    modules: groups.map(({ module }) => module),
    ...(ranks.length > 0 && { ranks: [Math.min(...ranks), Math.max(...ranks)] }),
    tensors: entries.length,
    parameters: entries.reduce((sum, { shape }) => sum + elements(shape), 0),
    bytes: entries.reduce((sum, { bytes }) => sum + bytes, 0),
    dtypes: [...new Set(entries.map(({ dtype }) => dtype))],
    ofTextEncoders: source.names.length - names.length,
  };
}

function updatesOf({ keys }: ModuleTensors): string[] {
  return [
    ...(keys.has('down') || keys.has('up') ? ['LoRA'] : []),
    ...([...keys.keys()].some(role => role.startsWith('hada')) ? ['LoHa'] : []),
    ...([...keys.keys()].some(role => role.startsWith('lokr')) ? ['LoKr'] : []),
    ...(keys.has('diff') || keys.has('diffBias') ? ['difference'] : []),
  ];
}
