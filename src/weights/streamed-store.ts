import * as tf from '@tensorflow/tfjs-core';
import { CheckpointError } from '../errors';
import { PAGE, pageAlignedBytes } from '../io/aligned';
import { allDone } from '../io/byte-file';
import { type Arena, arenaFor, type Wanted } from './arena';
import { checkTable } from './check-table';
import { elements } from './dtype';
import { checkFinite } from './finite';
import { asStored } from './layout';
import { type LoadOptions, readAll } from './load';
import type { Merge } from './lora/merge';
import { type NativeMaker, nativeMaker } from './native-tensor';
import type { Parameter, ParameterTable, WeightStore } from './parameters';
import { prepareWhole, readPrepared, storedIn } from './prepare';
import { readRows } from './rows';
import type { TensorSource } from './source';
import { view } from './store';

export interface StreamOptions extends LoadOptions {
  /** Module prefixes such as `transformer_blocks.3`: each is read when it is used. */
  readonly blocks: readonly string[];
  /** Stored bytes of parameters that are in memory already: they are used where they are, and not written to. */
  readonly held?: ReadonlyMap<string, Uint8Array<ArrayBuffer>> | undefined;
}

/** Where the bytes of one parameter go in a buffer. */
interface Place {
  readonly parameter: Parameter;
  readonly begin: number;
  /** 0 for a parameter that is held. */
  readonly bytes: number;
}

/** What is read together. */
interface Plan {
  readonly places: readonly Place[];
  readonly bytes: number;
  readonly float32Bytes: number;
}

/** A block on its way from disk. */
interface Reading {
  readonly prefix: string;
  readonly buffer: Uint8Array<ArrayBuffer>;
  /** Once all of it is read: each place of the plan. */
  readonly done: Promise<readonly Read[]>;
}

/** A parameter that is read. */
interface Read {
  readonly parameter: Parameter;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What LoRAs change of it. It holds no tensors. */
  readonly merge: Merge | undefined;
}

/**
 * A store that leaves blocks on disk, for models larger than memory. Each block is read when it is used, while the
 * one before it computes: the reads of a whole block are asked for at once, and Node's threads go on with them while
 * JavaScript is busy. Two buffers take turns, so that memory beside the resident parameters is one block as float32
 * and two as stored, with what LoRAs change of both. Values are checked the first time that a block is used.
 *
 * The store owns `source`, and the LoRAs that are merged, and closes them when it is disposed.
 * @throws CheckpointError when names, shapes or values do not fit the table
 */
export async function streamedStore(
  source: TensorSource,
  table: ParameterTable,
  options: StreamOptions,
): Promise<WeightStore> {
  const { blocks, where = 'the checkpoint', ignore, merges, held } = options;
  checkTable(source, table, { where, ignore });
  const plans = new Map(blocks.map(block => [block, planOf(source, table, block, held)]));
  const inBlocks = new Set([...plans.values()].flatMap(plan => plan.places.map(place => place.parameter.name)));
  const outside = table.filter(parameter => !inBlocks.has(parameter.name) && !parameter.lookup);
  const resident = await readAll(source, outside, options);

  const slotBytes = Math.max(0, ...[...plans.values()].map(plan => plan.bytes));
  const arena = nativeMaker() && (await arenaFor([...plans.values()].map(plan => wantedOf(source, plan))));
  const idle: Uint8Array<ArrayBuffer>[] = [];
  const checked = new Set<string>();
  let ahead: Reading | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  let isDisposed = false;

  /** A parameter and what LoRAs change of it, both asked for at once. */
  async function read({ parameter, begin, bytes }: Place, buffer: Uint8Array<ArrayBuffer>): Promise<Read> {
    const { name } = parameter;
    const merging = Promise.resolve(merges?.of(parameter, other => readPrepared(source, other)));
    const own = held?.get(name);
    const place = own ?? buffer.subarray(begin, begin + bytes);
    await allDone<unknown>([merging, ...(own ? [] : [source.readInto(name, place)])]);
    return { parameter, bytes: place, merge: await merging };
  }

  function begin(prefix: string): Reading {
    const { places } = planFor(prefix);
    const buffer = idle.pop() ?? pageAlignedBytes(slotBytes);
    const done = allDone(places.map(place => read(place, buffer)));
    // It is awaited where the block is used; a failure before that is not an unhandled one.
    done.catch(() => {});
    return { prefix, buffer, done };
  }

  function planFor(prefix: string): Plan {
    const plan = plans.get(prefix);
    if (plan && !isDisposed) return plan;
    throw new CheckpointError('missing_key', `The parameters under ${prefix} cannot be read.`, {
      hint: 'They are not a block of the parameter table, or their store was disposed.',
    });
  }

  /** Hands over what is being read ahead, if it is `prefix`; otherwise waits for it and lets go of it. */
  async function takeAhead(prefix: string): Promise<Reading | undefined> {
    const reading = ahead;
    ahead = undefined;
    if (!reading || reading.prefix === prefix) return reading;
    await reading.done.catch(() => {});
    idle.push(reading.buffer);
    return undefined;
  }

  async function useBlock<T>(prefix: string, work: Parameters<WeightStore['use']>[1], next?: string): Promise<T> {
    planFor(prefix);
    const reading = (await takeAhead(prefix)) ?? begin(prefix);
    let tensors: Map<string, tf.Tensor>;
    try {
      const found = await reading.done;
      if (next !== undefined && next !== prefix) ahead = begin(next);
      const shouldCheck = (options.checkFinite ?? true) && !checked.has(prefix);
      tensors = await tensorsOf(source, found, arena, { ...options, checkFinite: shouldCheck });
      checked.add(prefix);
    } finally {
      idle.push(reading.buffer);
    }
    try {
      return work(view(tensors, `${prefix}.`)) as T;
    } finally {
      tf.dispose([...tensors.values()]);
    }
  }

  const float32Bytes = (tensors: Iterable<tf.Tensor>): number => [...tensors].reduce((sum, t) => sum + t.size * 4, 0);
  return {
    resident: view(resident, ''),
    bytes:
      float32Bytes(resident.values()) +
      2 * slotBytes +
      Math.max(0, ...[...plans.values()].map(plan => plan.float32Bytes)),
    use<T>(prefix: string, work: Parameters<WeightStore['use']>[1], next?: string): Promise<T> {
      // One after the other: there are two buffers, and callers may not wait for each other.
      const result = turn.then(() => useBlock<T>(prefix, work, next));
      turn = result.catch(() => {});
      return result;
    },
    rows: (name, ids) => readRows(source, name, ids),
    dispose() {
      if (isDisposed) return;
      isDisposed = true;
      tf.dispose([...resident.values()]);
      resident.clear();
      idle.length = 0;
      void Promise.allSettled([turn, ahead?.done]).then(() => Promise.all([source.close(), options.merges?.close()]));
      ahead = undefined;
    },
  };
}

function planOf(source: TensorSource, table: ParameterTable, block: string, held?: StreamOptions['held']): Plan {
  let at = 0;
  let float32Bytes = 0;
  const places = table
    .filter(({ name }) => name.startsWith(`${block}.`))
    .map(listed => ({ listed, entry: source.entry(listed.name) }))
    // As they lie in the files, so that there are few gaps.
    .sort((a, b) => a.entry.begin - b.entry.begin)
    .map(({ listed: parameter, entry }) => {
      float32Bytes += elements(parameter.shape) * 4;
      if (held?.has(parameter.name)) return { parameter, begin: at, bytes: 0 };
      const { bytes } = entry;
      // In its page as in the file: only so can it be read past the system's cache.
      const begin = at + ((((entry.begin - at) % PAGE) + PAGE) % PAGE);
      at = begin + bytes;
      return { parameter, begin, bytes };
    });
  return { places, bytes: at, float32Bytes };
}

const wantedOf = (source: TensorSource, { places }: Plan): Wanted[] =>
  places.map(({ parameter }) => {
    const entry = source.entry(parameter.name);
    return { parameter: asStored(parameter, entry), dtype: entry.dtype };
  });

/** Tensors of a block that is read. Its bytes are free for others afterwards. */
async function tensorsOf(
  source: TensorSource,
  read: readonly Read[],
  arena: Arena | undefined,
  { checkFinite: shouldCheck, ...options }: LoadOptions,
): Promise<Map<string, tf.Tensor>> {
  const native = makerWith(arena);
  // The block that was made before is disposed.
  arena?.reset();
  const tensors = new Map<string, tf.Tensor>();
  const sums: tf.Tensor[] = [];
  const onFloat32 = (tensor: tf.Tensor): void => {
    if (shouldCheck) sums.push(tf.sum(tensor));
  };
  try {
    for (const { parameter, bytes, merge } of read) {
      const { name } = parameter;
      const how = { ...options, native, onFloat32, isLent: true, merge };
      tensors.set(name, prepareWhole(parameter, storedIn(source, name), bytes, how));
    }
    if (shouldCheck) await requireFinite(source, read, sums);
    return tensors;
  } catch (error) {
    tf.dispose([...tensors.values()]);
    throw error;
  } finally {
    tf.dispose(sums);
  }
}

/** What the arena does not make, TensorFlow makes. */
function makerWith(arena: Arena | undefined): NativeMaker | undefined {
  const native = nativeMaker();
  if (!arena || !native) return native;
  return (...given) => arena.make(...given) ?? native(...given);
}

/** A sum that is finite tells that all of its terms are; only otherwise is every value looked at. */
async function requireFinite(source: TensorSource, read: readonly Read[], sums: tf.Tensor[]): Promise<void> {
  if (sums.length === 0) return;
  const stacked = tf.stack(sums);
  const values = await stacked.data().finally(() => stacked.dispose());
  for (const [i, { parameter, bytes }] of read.entries()) {
    if (Number.isFinite(values[i])) continue;
    const { name } = parameter;
    checkFinite(source.widen(name, bytes), name, source.entry(name).file);
  }
}
