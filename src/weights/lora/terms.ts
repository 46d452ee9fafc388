import { CheckpointError } from '../../errors';
import { elements, showShape } from '../dtype';
import type { TensorSource } from '../source';
import { type AdapterKey, counterpart, type Role } from './keys';
import type { Whole } from './modules';

/** One summand of the change of a weight, by the names of its tensors. `factor` is alpha over rank. */
export type Term =
  | { readonly kind: 'product'; readonly pair: Pair; readonly factor: number }
  | { readonly kind: 'hadamard'; readonly pairs: readonly [Pair, Pair]; readonly factor: number }
  | { readonly kind: 'kronecker'; readonly factors: readonly [Factor, Factor]; readonly factor: number }
  | { readonly kind: 'difference'; readonly tensor: string; readonly factor: number };

/** A matrix as the product of `a`, `[rows, rank]`, and `b`, `[rank, columns]`. */
export interface Pair {
  readonly a: string;
  readonly b: string;
}
/** A matrix, whole or as a product. */
export type Factor = string | Pair;

/** The norm that a weight has after its change (DoRA). */
export type Magnitude =
  | { readonly tensor: string; readonly of: 'rows' }
  /** Columns go through all rows of `whole`, whatever of it a parameter has. */
  | { readonly tensor: string; readonly of: 'columns'; readonly whole: Whole };

/** The tensors of one module in an adapter. */
export interface ModuleTensors {
  /** How the file calls the module. */
  readonly module: string;
  readonly keys: ReadonlyMap<Role, string>;
  /** One of its keys. */
  readonly first: AdapterKey;
  readonly source: TensorSource;
  /** How errors call the file. */
  readonly where: string;
}

/** Alpha over rank; without a rank, what a product is multiplied by whose factors are whole. */
export type Scale = (rank?: number) => number;

const AGAIN = 'Take the LoRA again, whole, or the one that was trained on this model.';

/** The update of a module that is given by factors, checked; undefined where it has none. @throws CheckpointError */
export function factoredTerm(tensors: ModuleTensors, whole: () => Whole, scale: Scale): Term | undefined {
  const { keys } = tensors;
  const roles = [...keys.keys()];
  if (keys.has('down') || keys.has('up')) return productTerm(tensors, whole(), scale);
  if (roles.some(role => role.startsWith('hada'))) return hadamardTerm(tensors, whole(), scale);
  if (roles.some(role => role.startsWith('lokr'))) return kroneckerTerm(tensors, whole(), scale);
  return undefined;
}

function productTerm(tensors: ModuleTensors, whole: Whole, scale: Scale): Term {
  const { keys, first, where } = tensors;
  const [a, b] = [keys.get('up'), keys.get('down')];
  if (a === undefined || b === undefined) {
    const key = { ...first, ...endingOf(tensors, a ?? b!) };
    throw new CheckpointError('missing_key', `${where} lacks ${counterpart(key)}.`, { hint: AGAIN });
  }
  const pair = { a, b };
  const { rank, shape } = pairShape(tensors, pair);
  requireShape(tensors, whole, shape);
  return { kind: 'product', pair, factor: scale(rank) };
}

const endingOf = ({ module }: ModuleTensors, key: string) => ({ ending: key.slice(module.length) });

function hadamardTerm(tensors: ModuleTensors, whole: Whole, scale: Scale): Term {
  const pairs = [1, 2].map(i => ({
    a: required(tensors, `hada_w${i as 1 | 2}_a`),
    b: required(tensors, `hada_w${i as 1 | 2}_b`),
  })) as [Pair, Pair];
  const shapes = pairs.map(pair => pairShape(tensors, pair));
  for (const { shape } of shapes) requireShape(tensors, whole, shape);
  return { kind: 'hadamard', pairs, factor: scale(shapes[0]!.rank) };
}

function kroneckerTerm(tensors: ModuleTensors, whole: Whole, scale: Scale): Term {
  const factors = [factorOf(tensors, 1), factorOf(tensors, 2)] as const;
  const shapes = factors.map(factor => factorShape(tensors, factor));
  const [[rows1, columns1], [rows2, columns2]] = shapes.map(({ shape }) => shape) as [Matrix, Matrix];
  requireShape(tensors, whole, [rows1 * rows2, columns1 * columns2]);
  const rank = shapes.find(shape => shape.rank !== undefined)?.rank;
  return { kind: 'kronecker', factors, factor: scale(rank) };
}

function factorOf(tensors: ModuleTensors, i: 1 | 2): Factor {
  const whole = tensors.keys.get(`lokr_w${i}`);
  const [a, b] = [tensors.keys.get(`lokr_w${i}_a`), tensors.keys.get(`lokr_w${i}_b`)];
  if (whole === undefined && a === undefined && b === undefined) return required(tensors, `lokr_w${i}`);
  if (whole === undefined) return { a: required(tensors, `lokr_w${i}_a`), b: required(tensors, `lokr_w${i}_b`) };
  if (a === undefined && b === undefined) return whole;
  const message = `${tensors.where} holds both ${whole} and ${a ?? b}.`;
  throw new CheckpointError('unexpected_key', message, { hint: AGAIN });
}

/** A difference that is added as it is. @throws CheckpointError */
export function differenceTerm({ source, where }: ModuleTensors, tensor: string, whole: Whole, factor = 1): Term {
  const { shape } = source.entry(tensor);
  if (shape.length !== whole.shape.length || shape.some((size, i) => size !== whole.shape[i])) {
    throw mismatch(
      `${tensor} in ${where} has the shape ${showShape(shape)}, and what it changes ${showShape(whole.shape)}.`,
    );
  }
  return { kind: 'difference', tensor, factor };
}

/** The norms of a weight, checked. @throws CheckpointError */
export function magnitudeOf({ source, where }: ModuleTensors, tensor: string, whole: Whole): Magnitude {
  const { shape, size } = source.entry(tensor);
  const [rows = 1, columns = 1] = whole.shape;
  const isVector = size === Math.max(1, ...shape);
  if (whole.shape.length > 1 && isVector && size === rows && shape[0] === rows) return { tensor, of: 'rows' };
  if (whole.shape.length < 2 || !isVector || size !== columns || shape[1] !== columns) {
    const wanted = `${showShape(shape)}: neither the rows nor the columns of ${showShape(whole.shape)}`;
    throw mismatch(`${tensor} in ${where} has the shape ${wanted}.`);
  }
  return { tensor, of: 'columns', whole };
}

type Matrix = readonly [number, number];

function factorShape(tensors: ModuleTensors, factor: Factor): { shape: Matrix; rank?: number } {
  if (typeof factor !== 'string') return pairShape(tensors, factor);
  return { shape: matrixShape(tensors, factor) };
}

function pairShape(tensors: ModuleTensors, { a, b }: Pair): { shape: Matrix; rank: number } {
  const [[rows, rank], [other, columns]] = [matrixShape(tensors, a), matrixShape(tensors, b)];
  if (rank === other && rank > 0) return { shape: [rows, columns], rank };
  const what = rank === other ? 'have the rank 0' : `have the ranks ${rank} and ${other}`;
  throw mismatch(`${a} and ${b} in ${tensors.where} ${what}.`);
}

/** A tensor as a matrix: what comes after its first axis are columns, as in the kernel of a convolution. */
function matrixShape({ source, where }: ModuleTensors, name: string): Matrix {
  const { shape } = source.entry(name);
  if (shape.length >= 2) return [shape[0]!, elements(shape.slice(1))];
  throw mismatch(`${name} in ${where} has the shape ${showShape(shape)}, which is no matrix.`);
}

function requireShape({ module, where }: ModuleTensors, whole: Whole, [rows, columns]: Matrix): void {
  const [outputs = 1, ...rest] = whole.shape;
  if (whole.shape.length > 1 && rows === outputs && columns === elements(rest)) return;
  throw mismatch(
    `${module} in ${where} is for a weight of the shape ${showShape([rows, columns])}, but the model's is ${showShape(whole.shape)}.`,
  );
}

function required({ module, keys, where }: ModuleTensors, role: Role): string {
  const key = keys.get(role);
  if (key !== undefined) return key;
  throw new CheckpointError('missing_key', `${where} lacks ${module}.${role}.`, { hint: AGAIN });
}

const mismatch = (message: string): CheckpointError => new CheckpointError('shape_mismatch', message, { hint: AGAIN });
