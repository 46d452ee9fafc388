import { UsageError } from '../errors';
import type { PictureSize } from '../sampling/pipeline';

/** What a run is asked for; what is left out is as usual for the model. */
export interface Demand extends Partial<Record<keyof PictureSize, number | undefined>> {
  readonly textTokens?: number | undefined;
}

/** Products of queries with keys and of scores with values, `count` times. */
export interface AttentionWork {
  /** How many such attentions a block has. */
  readonly count: number;
  /** Tokens that ask. */
  readonly queries: number;
  /** Tokens that are attended to. */
  readonly keys: number;
  /** Channels of all heads together. */
  readonly width: number;
}

/** What one forward pass at a size has to do, derived from shapes alone. */
export interface Workload {
  /** In pixels and frames. */
  readonly size: PictureSize;
  /** The latent that the model takes, `[1, …]`. */
  readonly latent: readonly number[];
  /** Axis of the latent that holds its channels. */
  readonly channelAxis: number;
  /** Image or video tokens. */
  readonly tokens: number;
  /** Text tokens. */
  readonly textTokens: number;
  /** Channels of a token. */
  readonly width: number;
  /** Heads that these channels are parted into. */
  readonly heads: number;
  /**
   * How many rows meet the weight matrix of this name.
   * @param parameter name in the checkpoint
   * @returns rows, for one row of the batch; 0 for a matrix that no step meets
   */
  rows(parameter: string): number;
  /**
   * What the block of this name attends to.
   * @param block name of the block, as in `blockNames`
   * @returns one entry a kind of attention
   */
  attention(block: string): readonly AttentionWork[];
}

/** The side of the autoencoders' squares that one latent pixel stands for; the same in all four systems. */
export const LATENT_PIXELS = 8;
/** Text tokens that FLUX and Wan are used with. */
export const TEXT_TOKENS = 512;

/** The first of the patterns that a name matches tells its rows. */
export function rowsByName(rules: readonly (readonly [RegExp, number])[], otherwise: number): (name: string) => number {
  return name => rules.find(([pattern]) => pattern.test(name))?.[1] ?? otherwise;
}

export function requireMultiple({ height, width }: PictureSize, of: readonly [number, number], model: string): void {
  if (height > 0 && width > 0 && height % of[0] === 0 && width % of[1] === 0) return;
  const near = (value: number, step: number): number => Math.max(1, Math.round(value / step)) * step;
  const steps = of[0] === of[1] ? `${of[0]}` : `${of[0]} by ${of[1]}`;
  throw new UsageError(`${model} draws multiples of ${steps} pixels; ${height}x${width} was asked for.`, {
    hint: `Take ${near(height, of[0])}x${near(width, of[1])}.`,
  });
}

/** @throws UsageError for any other size, where a model draws one only */
export function requireSize(size: PictureSize, only: PictureSize, model: string): void {
  if (size.height === only.height && size.width === only.width && size.frames === only.frames) return;
  const text = ({ height, width, frames }: PictureSize): string =>
    `${height}x${width}${frames === 1 ? '' : `, ${frames} frames`}`;
  throw new UsageError(`${model} draws one size only; ${text(size)} was asked for.`, { hint: `Take ${text(only)}.` });
}
