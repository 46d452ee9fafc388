/*
 * A run in the middle as the bytes of a safetensors file: every tensor that is kept, and in the metadata where it belongs
 * and all that is no tensor.
 */
import * as tf from '@tensorflow/tfjs-core';
import { UnsupportedError } from '../errors';
import { sha256 } from '../io/sha256';
import type { State } from '../nn/state';
import { encodeSafetensors, type TensorToWrite } from '../weights/encode-safetensors';
import { parseSafetensors } from '../weights/safetensors';

/** Where the checkpoints of runs are kept. */
export interface CheckpointStore {
  /** Steps between two checkpoints; 5 by default. */
  readonly every?: number | undefined;
  /**
   * The last checkpoint of a run.
   * @param run what identifies the run
   * @returns its bytes; nothing where there is none
   */
  read(run: string): Promise<Uint8Array | undefined>;
  /**
   * Keeps a checkpoint in place of the last one. Whoever reads has to find the old one or the new one, whole.
   * @param run what identifies the run
   * @param bytes a safetensors file
   */
  write(run: string, bytes: Uint8Array): Promise<void>;
  /**
   * Removes the checkpoint of a run, when what was drawn is kept elsewhere.
   * @param run what identifies the run
   */
  remove(run: string): Promise<void>;
}

/** The checkpoints of one run. */
export interface RunCheckpoints {
  /** Where they are kept. */
  readonly store: CheckpointStore;
  /** What identifies the run there: another run has another one. */
  readonly run: string;
}

/** Steps between two checkpoints. */
export const USUAL_EVERY = 5;

/** Marks a file as ours. */
const FORMAT = 'ertacache-checkpoint';
const VERSION = '1';

/** @throws UnsupportedError for a tensor that is not of floats */
export async function encodeCheckpoint(run: string, state: State): Promise<Uint8Array> {
  const { tensors, json } = await written(state);
  const hashes = Array.from(tensors.values(), ({ data }) => sha256(bytesOf(data)));
  const metadata = { format: FORMAT, version: VERSION, run, state: json, sha256: digest(run, json, hashes) };
  return encodeSafetensors(tensors, metadata);
}

/**
 * The state that a checkpoint holds; its tensors are the caller's.
 * @returns nothing for bytes that are no checkpoint of this run, or are not what was written
 */
export function decodeCheckpoint(run: string, given: Uint8Array): State | undefined {
  try {
    const { metadata, json, parts, restore } = read(given);
    if (metadata.get('format') !== FORMAT || metadata.get('version') !== VERSION) return undefined;
    if (metadata.get('run') !== run) return undefined;
    if (metadata.get('sha256') !== digest(run, json, parts.map(bytesOf).map(sha256))) return undefined;
    return restore();
  } catch {
    return undefined;
  }
}

/**
 * The bytes of a state that is sent at once, and not kept: nothing in them says whose it is or whether it is whole.
 * @throws UnsupportedError for a tensor that is not of floats
 */
export async function encodeState(state: State): Promise<Uint8Array> {
  const { tensors, json } = await written(state);
  return encodeSafetensors(tensors, { state: json });
}

/** What `encodeState` was given; its tensors are the caller's. @returns nothing for other bytes */
export function decodeState(given: Uint8Array): State | undefined {
  try {
    return read(given).restore();
  } catch {
    return undefined;
  }
}

/** A state as tensors, and JSON that says where each belongs. */
async function written(state: State): Promise<{ readonly tensors: Map<string, TensorToWrite>; readonly json: string }> {
  const tensors = new Map<string, TensorToWrite>();
  const plain = async (value: State): Promise<unknown> => {
    if (value instanceof tf.Tensor) {
      if (value.dtype !== 'float32') {
        throw new UnsupportedError(`A run keeps a tensor of type ${value.dtype}, and checkpoints hold float32.`);
      }
      const name = String(tensors.size);
      tensors.set(name, { dtype: 'F32', shape: value.shape, data: await value.data<'float32'>() });
      return { tensor: name };
    }
    if (isList(value)) {
      const list: unknown[] = [];
      for (const item of value) list.push(await plain(item));
      return { list };
    }
    if (typeof value === 'object' && value !== null) {
      const entries: unknown[] = [];
      for (const [key, item] of Object.entries(value)) entries.push([key, await plain(item)]);
      return { entries };
    }
    // JSON has none of these three.
    return typeof value === 'number' && !Number.isFinite(value) ? { number: String(value) } : value;
  };
  const json = JSON.stringify(await plain(state));
  return { tensors, json };
}

/** What bytes hold. Their tensors look at them, where they lie as floats have to. */
function read(given: Uint8Array) {
  const bytes = given.byteOffset % Float32Array.BYTES_PER_ELEMENT === 0 ? given : new Uint8Array(given);
  const { tensors, metadata } = parseSafetensors(bytes);
  const json = metadata.get('state') ?? '';
  const parts = Array.from(tensors, (_, i) => {
    const { begin, end } = tensors.get(String(i)) as { readonly begin: number; readonly end: number };
    return new Float32Array(bytes.buffer, bytes.byteOffset + begin, (end - begin) / Float32Array.BYTES_PER_ELEMENT);
  });
  const tensorAt = (name: string): tf.Tensor =>
    tf.tensor(parts[Number(name)] as Float32Array, [...(tensors.get(name)?.shape ?? [])], 'float32');
  return { metadata, json, parts, restore: (): State => restored(JSON.parse(json), tensorAt) };
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

const isList = (value: State): value is readonly State[] => Array.isArray(value);

const digest = (run: string, json: string, hashes: readonly string[]): string =>
  sha256([run, json, ...hashes].join('\n'));

type Written =
  | { readonly tensor: string }
  | { readonly list: readonly Written[] }
  | { readonly entries: readonly (readonly [string, Written])[] }
  | { readonly number: string }
  | string
  | number
  | boolean
  | null;

/** Of what was written by `written`. */
function restored(value: Written, tensorAt: (name: string) => tf.Tensor): State {
  if (typeof value !== 'object' || value === null) return value;
  if ('tensor' in value) return tensorAt(value.tensor);
  if ('list' in value) return value.list.map(item => restored(item, tensorAt));
  if ('number' in value) return Number(value.number);
  return Object.fromEntries(value.entries.map(([key, item]) => [key, restored(item, tensorAt)]));
}
