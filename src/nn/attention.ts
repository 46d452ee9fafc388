import * as tf from '@tensorflow/tfjs-core';
import { bfloat16Attention, type ComputeType, toBfloat16 } from './bfloat16';
import { softmax } from './fused';
import { lane } from './lane';
import { kernelAttention } from './wasm/kernels';
import { hasKernels } from './wasm/run';

/** Scores held at one time by default; the tile of query rows is chosen so that no more exist. */
const MAX_SCORES = 32 * 1024 * 1024;
const MIN_TILE = 32;
const WIDE_TILE = 256;
/** On wasm, fewer operations than these in a head cost less than calling its products one by one. */
const SMALL_HEAD = 300_000;

export interface AttentionOptions {
  /** Added to the scores before the softmax; broadcast to `[B, H, Nq, Nk]`. */
  readonly bias?: tf.Tensor | undefined;
  /** What the scores are multiplied by; 1/√d by default. */
  readonly scale?: number | undefined;
  /** How many scores may be held at one time; a tile has 32 query rows at least. */
  readonly maxScores?: number | undefined;
  /** Whether to take heads one by one; chosen by backend and size by default. */
  readonly byHead?: boolean | undefined;
  /** What scores and products are computed in; float32 by default, and always where there is a bias. */
  readonly dtype?: ComputeType | undefined;
}

/**
 * Softmax attention of every head.
 *
 * Query rows are taken in tiles, so that memory grows with tile × keys and never with queries × keys.
 * @param q `[B, Nq, H, d]`
 * @param k `[B, Nk, H, d]`
 * @param v `[B, Nk, H, e]`
 * @returns `[B, Nq, H·e]`
 */
export function attention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, options: AttentionOptions = {}): tf.Tensor {
  const width = q.shape[3] as number;
  const scale = options.scale ?? 1 / Math.sqrt(width);
  if (hasKernels() && (!options.bias || options.bias.shape[3] === k.shape[1])) {
    return kernelAttention(q, k, v, scale, options.bias);
  }
  const scaled = scale === 1 ? q : tf.mul(q, scale);
  const operations = 2 * (q.shape[1] as number) * (k.shape[1] as number) * (width + (v.shape[3] as number));
  const { bias, maxScores = MAX_SCORES, byHead = lane() === 'wasm' && operations >= SMALL_HEAD } = options;
  if (options.dtype === 'bfloat16' && !bias) return narrow(scaled, k, v, maxScores);
  return (byHead ? perHead : batched)(scaled, k, v, maxScores, bias);
}

/** Whole multiples of what matrix products work in; other sizes cost a tenth. */
function tileRows(rows: number, scoresPerRow: number, maxScores: number): number {
  const most = Math.floor(maxScores / scoresPerRow);
  const step = most >= WIDE_TILE ? WIDE_TILE : MIN_TILE;
  return Math.min(rows, Math.max(MIN_TILE, Math.floor(most / step) * step));
}

/** `work(start, count)` for every tile of `rows`, joined along `axis`. */
function tiled(rows: number, tile: number, axis: number, work: (start: number, count: number) => tf.Tensor): tf.Tensor {
  if (tile >= rows) return work(0, rows);
  const parts: tf.Tensor[] = [];
  for (let start = 0; start < rows; start += tile) {
    parts.push(tf.tidy(() => work(start, Math.min(tile, rows - start))));
  }
  return tf.concat(parts, axis);
}

/** The rows of a bias that a tile of queries needs; a bias that is the same for all queries stays as it is. */
function biasRows(bias: tf.Tensor, start: number, count: number): tf.Tensor {
  return (bias.shape[2] as number) === 1 ? bias : tf.slice(bias, [0, 0, start, 0], [-1, -1, count, -1]);
}

/** `[B, N, H, d]` as `[B, H, N, d]`, and the way back. */
const byHead = (t: tf.Tensor): tf.Tensor => tf.transpose(t, [0, 2, 1, 3]);

/** `work` on tiles of the queries `[B, H, Nq, d]`, each giving `[B, H, rows, e]`; the whole as `[B, Nq, H·e]`. */
function byTile(
  q: tf.Tensor,
  tile: number,
  work: (rows: tf.Tensor, start: number, count: number) => tf.Tensor,
): tf.Tensor {
  const [batch, , queries] = q.shape as [number, number, number, number];
  const out = tiled(queries, tile, 2, (start, count) =>
    work(count === queries ? q : tf.slice(q, [0, 0, start, 0], [-1, -1, count, -1]), start, count),
  );
  return tf.reshape(byHead(out), [batch, queries, -1]);
}

/** The same in bfloat16. */
function narrow(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, maxScores: number): tf.Tensor {
  const [batch, queries, heads] = q.shape as [number, number, number, number];
  const [kh, vh] = [toBfloat16(byHead(k)), toBfloat16(byHead(v))];
  const tile = tileRows(queries, batch * heads * (k.shape[1] as number), maxScores);
  return byTile(byHead(q), tile, rows => bfloat16Attention(rows, kh, vh));
}

function batched(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, maxScores: number, bias?: tf.Tensor): tf.Tensor {
  const [batch, queries, heads] = q.shape as [number, number, number, number];
  const keys = k.shape[1] as number;
  // TensorFlow reads the keys of a product across as fast as along, so that turning them around would be for nothing.
  const isAcross = lane() === 'native';
  const vh = byHead(v);
  const kt = isAcross ? byHead(k) : tf.transpose(k, [0, 2, 3, 1]);
  return byTile(byHead(q), tileRows(queries, batch * heads * keys, maxScores), (rows, start, count) => {
    const scores = tf.matMul(rows, kt, false, isAcross);
    const biased = bias ? tf.add(scores, biasRows(bias, start, count)) : scores;
    return tf.matMul(softmax(biased), vh);
  });
}

/** The same with two-dimensional, untransposed products only: the one form that wasm multiplies fast. */
function perHead(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, maxScores: number, bias?: tf.Tensor): tf.Tensor {
  const [batch, queries, heads, width] = q.shape as [number, number, number, number];
  const keys = k.shape[1] as number;
  const valueWidth = v.shape[3] as number;
  const tile = tileRows(queries, keys, maxScores);
  const images: tf.Tensor[] = [];
  for (let b = 0; b < batch; b++) {
    const flat = (t: tf.Tensor): tf.Tensor2D =>
      tf.reshape(tf.slice(t, b, 1), [t.shape[1] as number, -1]) as tf.Tensor2D;
    const [qb, kt, vb] = [flat(q), tf.transpose(flat(k)), flat(v)];
    const columns: tf.Tensor[] = [];
    for (let h = 0; h < heads; h++) {
      const keysOfHead = tf.slice(kt, [h * width, 0], [width, keys]);
      const valuesOfHead = tf.slice(vb, [0, h * valueWidth], [keys, valueWidth]);
      columns.push(
        tiled(queries, tile, 0, (start, count) => {
          const scores = tf.matMul(tf.slice(qb, [start, h * width], [count, width]), keysOfHead);
          const biased = bias ? tf.add(scores, headBias(bias, b, h, start, count)) : scores;
          return tf.matMul(tf.softmax(biased) as tf.Tensor2D, valuesOfHead);
        }),
      );
    }
    images.push(tf.concat(columns, 1));
  }
  return tf.stack(images);
}

function headBias(bias: tf.Tensor, b: number, h: number, start: number, count: number): tf.Tensor {
  const pick = (axis: number, index: number): number => ((bias.shape[axis] as number) === 1 ? 0 : index);
  const rows = biasRows(bias, start, count);
  const picked = tf.slice(rows, [pick(0, b), pick(1, h), 0, 0], [1, 1, -1, -1]);
  return tf.reshape(picked, [-1, bias.shape[3] as number]);
}
