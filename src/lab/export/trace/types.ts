import type { DataType } from '@tensorflow/tfjs-core';
import type { Expression } from '../../../models/sizes';

/** One output of a recorded operation. */
export interface Ref {
  readonly node: number;
  readonly output: number;
}

/** An operand that is no tensor of the model but whole numbers: a shape, an axis, the sizes of a split. */
export interface Numbers {
  readonly numbers: readonly number[];
  /** `[]` for a single number; a list by default. */
  readonly shape?: readonly number[] | undefined;
  /** What the numbers are at any sizes, where it is known; otherwise it is found by comparing recordings. */
  readonly expressions?: readonly (Expression | undefined)[];
  /** The numbers are the target of a reshape, of which one may be left open. */
  readonly isTarget?: true;
}

export type Operand = Ref | Numbers;

export const isNumbers = (operand: Operand): operand is Numbers => 'numbers' in operand;

/** A GraphDef attribute as JSON. */
export type Attribute =
  | { readonly i: string }
  | { readonly b: boolean }
  | { readonly type: string }
  | { readonly shape: { readonly dim: readonly { readonly size: string }[] } };

export interface TensorType {
  readonly shape: readonly number[];
  readonly dtype: DataType;
}

/** The values of a constant. */
export type Values = Float32Array | Int32Array | Uint8Array;

/** One operation of a model as it ran. */
export interface TracedNode {
  /** The name of the operation in TensorFlow. */
  readonly op: string;
  /** Inputs, weights and the parts of a model have names; all else is numbered in its scope. */
  readonly name?: string | undefined;
  readonly scope: string;
  readonly operands: readonly Operand[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly outputs: readonly TensorType[];
  /** Of constants only. */
  readonly values?: Values;
}

/** TensorFlow's name of a type. */
export function typeName(dtype: DataType): string {
  const names: Partial<Record<DataType, string>> = { float32: 'DT_FLOAT', int32: 'DT_INT32', bool: 'DT_BOOL' };
  return names[dtype] ?? 'DT_INVALID';
}
