import * as tf from '@tensorflow/tfjs-core';
import { allDone } from '../../io/byte-file';
import { elements } from '../dtype';
import type { Parameter } from '../parameters';
import type { TensorSource } from '../source';
import { type Adapter, type LoraFile, openAdapter } from './adapter';
import { changed, type Matrix, type ReadChange, squaredNorms } from './change';
import type { Modules, Rows, Whole } from './modules';
import { type Change, planAdapter } from './plan';
import type { Factor, Term } from './terms';

/**
 * Changes a weight.
 * @param weights float32, laid out for layers; used up
 * @returns the changed weight, the caller's
 */
export type Merge = (weights: tf.Tensor) => tf.Tensor;

/** What is merged into the weights of a model while they are read. */
export interface Merges {
  /**
   * Reads what changes a parameter, each time anew: nothing of it stays in memory but norms that go through several
   * parameters.
   * @param parameter one of the model's
   * @param base gives a parameter as it is without LoRAs, laid out for layers, float32; asked for where a norm goes
   *   through several parameters
   * @returns undefined for a parameter that stays as it is
   */
  of(parameter: Parameter, base: (parameter: Parameter) => Promise<tf.Tensor>): Promise<Merge | undefined>;
  /** Closes the files. */
  close(): Promise<void>;
}

/**
 * Opens LoRAs and checks all of them against a model.
 * @throws CheckpointError, before any of them is merged
 */
export async function openMerges(loras: readonly LoraFile[], modules: Modules): Promise<Merges> {
  const adapters: Adapter[] = [];
  const close = async (): Promise<void> => void (await Promise.all(adapters.map(({ source }) => source.close())));
  try {
    const changes = new Map<string, Change[]>();
    for (const lora of loras) {
      const adapter = await openAdapter(lora);
      adapters.push(adapter);
      const plan = await planAdapter(adapter, modules);
      for (const [name, list] of plan.changes) changes.set(name, [...(changes.get(name) ?? []), ...list]);
    }
    const norms: Norms = new Map();
    return { of: (parameter, base) => mergeOf(parameter, { changes, base, norms }), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Norms of columns that go through several parameters, by the change, which all of these have in common. */
type Norms = Map<Change['terms'], Promise<Float32Array>>;

/** What all parameters are merged from. */
interface Model {
  readonly changes: ReadonlyMap<string, readonly Change[]>;
  readonly norms: Norms;
  readonly base: (parameter: Parameter) => Promise<tf.Tensor>;
}

async function mergeOf(parameter: Parameter, model: Model): Promise<Merge | undefined> {
  const changes = model.changes.get(parameter.name);
  if (!changes) return undefined;
  const read = await readChanges(changes, model);
  return weights => {
    try {
      return changed(weights, read, parameter);
    } finally {
      weights.dispose();
    }
  };
}

/** All is asked for at once, so that it is read while JavaScript computes. */
function readChanges(changes: readonly Change[], model: Model): Promise<ReadChange[]> {
  return allDone(
    changes.map(async change => {
      const read = await readChange(change);
      const { magnitude } = change;
      const isShared = magnitude?.of === 'columns' && magnitude.whole.parts.length > 1;
      return isShared ? { ...read, norms: await onceNorms(change, magnitude.whole, model) } : read;
    }),
  );
}

/** Norms that every part of a weight, and every use of it, asks for. A failure is not remembered. */
function onceNorms(change: Change, whole: Whole, model: Model): Promise<Float32Array> {
  const known = model.norms.get(change.terms);
  if (known) return known;
  const norms = sharedNorms(change, whole, model);
  model.norms.set(change.terms, norms);
  norms.catch(() => model.norms.delete(change.terms));
  return norms;
}

/** Norms of columns that go through several parameters, after all that comes before and the change's own sums. */
async function sharedNorms(change: Change, { parts }: Whole, model: Model): Promise<Float32Array> {
  let sums: Float64Array | undefined;
  for (const { parameter } of parts) {
    const changes = model.changes.get(parameter.name) ?? [];
    const at = changes.findIndex(({ terms }) => terms === change.terms);
    const before = await readChanges(changes.slice(0, at), model);
    const own = { ...(await readChange(changes[at]!)), magnitude: undefined };
    const values = await squaresOf(await model.base(parameter), [...before, own], parameter);
    sums = Float64Array.from(values, (value, i) => value + (sums?.[i] ?? 0));
  }
  return Float32Array.from(sums ?? [], Math.sqrt);
}

/** Squared norms of the columns of a weight with some changes. @param weights used up */
async function squaresOf(weights: tf.Tensor, changes: readonly ReadChange[], parameter: Parameter) {
  let squares: tf.Tensor;
  try {
    squares = tf.tidy(() => squaredNorms(changed(weights, changes, parameter), 'columns', parameter.layout));
  } finally {
    weights.dispose();
  }
  return squares.data<'float32'>().finally(() => squares.dispose());
}

async function readChange({ adapter, rows, terms, magnitude }: Change): Promise<ReadChange> {
  const { source, scale } = adapter;
  const wanted = new Map(terms.flatMap(term => tensorsOf(term, rows)));
  if (magnitude) wanted.set(magnitude.tensor, magnitude.of === 'rows' ? rows : undefined);
  const tensors = await allDone(
    [...wanted].map(async ([name, some]): Promise<[string, Matrix]> => [name, await readRows(source, name, some)]),
  );
  return { scale, terms, magnitude, rows, tensors: new Map(tensors) };
}

/** The tensors of a term, each with the rows that are read of it; all of them unless told. */
function tensorsOf(term: Term, rows: Rows): [string, Rows | undefined][] {
  const whole = (factor: Factor): [string, undefined][] =>
    typeof factor === 'string'
      ? [[factor, undefined]]
      : [
          [factor.a, undefined],
          [factor.b, undefined],
        ];
  switch (term.kind) {
    case 'product':
      return [
        [term.pair.a, rows],
        [term.pair.b, undefined],
      ];
    case 'hadamard':
      return term.pairs.flatMap(({ a, b }): [string, Rows | undefined][] => [
        [a, rows],
        [b, undefined],
      ]);
    case 'kronecker':
      return term.factors.flatMap(whole);
    case 'difference':
      return [[term.tensor, rows]];
  }
}

async function readRows(source: TensorSource, name: string, rows: Rows | undefined): Promise<Matrix> {
  const { shape } = source.entry(name);
  const [count = 1, ...rest] = shape;
  const columns = elements(rest);
  if (rows === undefined) return { data: await source.read(name), shape: [count, columns] };
  const total = rows.reduce((sum, [first, end]) => sum + end - first, 0);
  const data = new Float32Array(total * columns);
  let next = 0;
  await allDone(
    rows.map(async ([first, end]) => {
      const [at, count] = [next, (end - first) * columns];
      next += count;
      data.set(await source.read(name, { start: first * columns, count }), at);
    }),
  );
  return { data, shape: [total, columns] };
}
