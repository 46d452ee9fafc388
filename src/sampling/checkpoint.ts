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
  const tensors = new Map<string, TensorToWrite>();
  const hashes: string[] = [];
  const plain = async (value: State): Promise<unknown> => {
    if (value instanceof tf.Tensor) {
      if (value.dtype !== 'float32') {
        throw new UnsupportedError(`A run keeps a tensor of type ${value.dtype}, and checkpoints hold float32.`);
      }
      const name = String(tensors.size);
      const data = await value.data<'float32'>();
      tensors.set(name, { dtype: 'F32', shape: value.shape, data });
      hashes.push(sha256(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)));
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
  const metadata = { format: FORMAT, version: VERSION, run, state: json, sha256: digest(run, json, hashes) };
  return encodeSafetensors(tensors, metadata);
}

/**
 * The state that a checkpoint holds; its tensors are the caller's.
 * @returns nothing for bytes that are no checkpoint of this run, or are not what was written
 */
export function decodeCheckpoint(run: string, given: Uint8Array): State | undefined {
  try {
    // A copy with a buffer of its own: a `Buffer` of Node is a part of a larger one.
    const bytes = new Uint8Array(given);
    const { tensors, metadata } = parseSafetensors(bytes);
    if (metadata.get('format') !== FORMAT || metadata.get('version') !== VERSION) return undefined;
    if (metadata.get('run') !== run) return undefined;
    const json = metadata.get('state') ?? '';
    const parts = Array.from(tensors, (_, i) => bytes.slice(...placeOf(tensors, String(i))));
    if (metadata.get('sha256') !== digest(run, json, parts.map(sha256))) return undefined;
    const tensorAt = (name: string): tf.Tensor => {
      const values = new Float32Array((parts[Number(name)] as Uint8Array<ArrayBuffer>).buffer);
      return tf.tensor(values, [...(tensors.get(name)?.shape ?? [])], 'float32');
    };
    return restored(JSON.parse(json), tensorAt);
  } catch {
    return undefined;
  }
}

const isList = (value: State): value is readonly State[] => Array.isArray(value);

function placeOf(tensors: ReturnType<typeof parseSafetensors>['tensors'], name: string): [number, number] {
  const { begin = 0, end = 0 } = tensors.get(name) ?? {};
  return [begin, end];
}

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

/** The digest was checked: this is what was written. */
function restored(value: Written, tensorAt: (name: string) => tf.Tensor): State {
  if (typeof value !== 'object' || value === null) return value;
  if ('tensor' in value) return tensorAt(value.tensor);
  if ('list' in value) return value.list.map(item => restored(item, tensorAt));
  if ('number' in value) return Number(value.number);
  return Object.fromEntries(value.entries.map(([key, item]) => [key, restored(item, tensorAt)]));
}
