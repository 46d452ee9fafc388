import { z } from 'zod';
import { settingsOf } from '../../draw/alike';
import { type FullRequest, requestSchema } from '../../draw/request';
import { count } from '../../io/counts';
import { seedJson, seedsFrom } from '../../random/seed';

/** Pictures of one order. */
export const MOST_PICTURES = 10;
/** Previews of one picture. */
export const MOST_PREVIEWS = 3;

/** The file that a picture or a clip becomes. */
export const outputSchema = z.object({
  format: z.enum(['png', 'jpeg', 'webp', 'gif', 'mp4']),
  /** 1 … 100, from smallest to best. */
  quality: z.number().min(1).max(100).optional(),
});

/** The file that a picture or a clip becomes. */
export type Output = z.infer<typeof outputSchema>;

/** A request as JSON holds it: a seed that no number tells exactly is written in digits. */
const request = requestSchema.transform(({ seed, ...rest }) => ({ ...rest, seed: seedJson(seed) }));

/** What was asked for: a request that `draw` takes, how many pictures of it, and as what. */
export const orderSchema = z.object({
  request,
  /** Pictures, with seeds counted up. */
  count: count(MOST_PICTURES),
  output: outputSchema,
  /** Previews on the way to each picture. */
  previews: z.int().min(0).max(MOST_PREVIEWS),
  /** Length of a clip, where its frames are not given: the nearest that the model draws. */
  seconds: z.number().positive().max(3600).optional(),
  /** SHA-256 of the picture to begin with, which is kept beside the order. */
  picture: z.string().optional(),
});

/** What was asked for. It is JSON, and names no file of this machine. */
export type Order = z.infer<typeof orderSchema>;

/** One picture or clip of an order: the unit that workers are handed. */
export interface Piece extends Omit<Order, 'count'> {
  /** The bytes of the picture to begin with. */
  readonly bytes?: Uint8Array | undefined;
}

/** The pieces of an order, in the order of their seeds. */
export function piecesOf({ count, ...order }: Order, bytes?: Uint8Array): Piece[] {
  return seedsFrom(seedOfOrder(order.request), count).map(seed => ({
    ...order,
    request: { ...order.request, seed: seedJson(seed) },
    ...(bytes && { bytes }),
  }));
}

/** What pieces share that can be drawn as one batch: all but prompt, seed, enlargement and file format. */
export function batchKey({ request, seconds, picture, previews }: Omit<Piece, 'bytes'>): string {
  return JSON.stringify([settingsOf(requestSchema.parse(request)), seconds, picture, previews]);
}

const seedOfOrder = ({ seed }: Order['request']): bigint => BigInt(seed);

/** The request of a piece as `draw` takes it. */
export const requestOfPiece = ({ request }: Piece): FullRequest => requestSchema.parse(request);
