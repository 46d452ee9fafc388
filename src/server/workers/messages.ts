/*
 * What the server and its workers say to each other. Both ends check: a worker may be dying, or of another version.
 */
import { z } from 'zod';
import { count, MOST } from '../../io/counts';
import { resultFields } from '../jobs/job';
import { orderSchema } from '../jobs/order';
import { farTargetSchema } from './far-target';

const bytes = z.custom<Uint8Array>(value => value instanceof Uint8Array, 'must be bytes');

const engineKind = z.enum(['gpu', 'webgpu', 'native', 'wasm', 'cpu']);

/** What a worker is told first. */
const beginSchema = z.object({
  type: z.literal('begin'),
  backend: z.enum(['auto', ...engineKind.options]),
  threads: count(MOST.threads).optional(),
  verbose: z.boolean(),
  /** The models that may be drawn with: their folders by their names. */
  models: z.record(z.string(), z.string()),
  /** What receipts call them, where that is another name. */
  publicNames: z.record(z.string(), z.string()).optional(),
  /** Policies that may be named beside those that ship with ertacache: their files by their names. */
  policies: z.record(z.string(), z.string()),
  /** Models that stay in memory. */
  held: count(MOST.pictures),
  /** The model that is loaded at once. */
  first: z.string().optional(),
});

/** What a worker is told first. */
export type Begin = z.infer<typeof beginSchema>;

const { count: _, ...pieceFields } = orderSchema.shape;

export const toWorkerSchema = z.discriminatedUnion('type', [
  beginSchema,
  z.object({
    type: z.literal('draw'),
    id: z.int(),
    /** One piece or several of one `batchKey`: its rows. */
    pieces: z.array(z.object({ ...pieceFields, bytes: bytes.optional() })).min(1),
    checkpoint: z.object({ every: count(MOST.steps), last: bytes.optional() }).optional(),
  }),
  /** Something else than a picture, of a model. */
  z.object({ type: z.literal('ask'), id: z.int(), target: farTargetSchema, question: bytes }),
  z.object({ type: z.literal('stop'), id: z.int(), row: z.int() }),
]);

export type ToWorker = z.input<typeof toWorkerSchema>;

/** A failure as it is told. */
const faultSchema = z.object({
  /** Of an `ErtaError`; `failure` for all others. */
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
});

export type Fault = z.infer<typeof faultSchema>;

const { name: _name, bytes: _bytes, ...finishedFields } = resultFields;

/** A piece of a batch. */
const row = { id: z.int(), row: z.int().nonnegative() } as const;

export const fromWorkerSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready'), kind: engineKind, backend: z.string() }),
  z.object({ type: z.literal('cannot'), fault: faultSchema }),
  /** Of all rows. */
  z.object({
    type: z.literal('step'),
    id: z.int(),
    done: z.int(),
    total: z.int(),
    forwards: z.number(),
    cacheBytes: z.number(),
  }),
  z.object({ type: z.literal('preview'), ...row, index: z.int(), bytes, width: z.int(), height: z.int() }),
  z.object({ type: z.literal('checkpoint'), ...row, bytes }),
  z.object({ type: z.literal('done'), ...row, bytes, ...finishedFields }),
  z.object({ type: z.literal('answered'), ...row, bytes }),
  z.object({ type: z.literal('failed'), ...row, fault: faultSchema }),
  /** Nothing is being drawn: at the beginning, and after every batch. */
  z.object({ type: z.literal('free'), memory: z.number(), tensors: z.int(), models: z.array(z.string()) }),
]);

export type FromWorker = z.input<typeof fromWorkerSchema>;
