import { z } from 'zod';
import { canonicalJson } from '../io/canonical-json';
import { count, MOST } from '../io/counts';
import { sha256 } from '../io/sha256';
import { resultFields } from '../server/jobs/job';
import { orderSchema, type Piece } from '../server/jobs/order';
import { VERSION } from '../version';

const { count: _, ...pieceFields } = orderSchema.shape;

/** Characters of a user's name. */
export const MOST_USER = 200;

/** A job as it waits in Redis: the request that `draw` takes, and as what file the picture is wanted. */
export const fleetJobSchema = z.object({
  format: z.literal('ertacache-fleet-job'),
  version: z.literal(1),
  piece: z.object(pieceFields),
  /** Content hash of the model: a worker whose model is another one fails the job. */
  model: z.string(),
  /** Content hash of the policy, where one is named: a worker whose policy of that name is another one fails the job. */
  policy: z.string().optional(),
  /** Version of ertacache that decides the bytes. */
  ertacache: z.string(),
  /** Whose it is, for fairness. */
  user: z.string().max(MOST_USER),
  /** Steps between two checkpoints. */
  every: count(MOST.steps),
});

/** A job as it waits in Redis. */
export type FleetJob = z.infer<typeof fleetJobSchema>;

/** What is told of a picture; it lies beside it, and is written after it. */
const { name: _name, ...toldFields } = resultFields;
export const resultSchema = z.object(toldFields);
export type Result = z.infer<typeof resultSchema>;

/** What jobs have in common. */
export interface JobSettings {
  readonly model: string;
  readonly policy?: string | undefined;
  readonly user: string;
  readonly every: number;
}

/** A job of a piece. Its picture to begin with is in the store, under its hash. */
export function fleetJob({ bytes: _, ...piece }: Piece, settings: JobSettings): FleetJob {
  return { format: 'ertacache-fleet-job', version: 1, piece, ertacache: VERSION, ...settings };
}

/**
 * What identifies a job, and names its output: equal ones give the same bytes. Previews change nothing of them, and
 * whose it is neither.
 */
export function jobId({ piece, model, policy, ertacache }: FleetJob): string {
  const { previews: _, ...decisive } = piece;
  return sha256(canonicalJson([decisive, model, ertacache, ...(policy === undefined ? [] : [policy])]));
}

/** Names in the store. */
export const NAMES = {
  output: (id: string, { piece }: FleetJob): string => `${id}.${piece.output.format}`,
  result: (id: string): string => `${id}.json`,
  checkpoint: (id: string): string => `${id}.checkpoint.safetensors`,
  picture: (hash: string): string => `${hash}.picture`,
  lora: (hash: string): string => `${hash}.lora.safetensors`,
  /** What peft keeps beside a LoRA. */
  loraConfig: (hash: string): string => `${hash}.lora.json`,
  weights: (hash: string): string => `${hash}.weights`,
} as const;

/** What becomes of a job. */
export type JobState = 'waiting' | 'active' | 'completed' | 'failed' | 'cancelled' | 'unknown';

export const overSchema = z.object({
  id: z.string(),
  state: z.enum(['completed', 'failed', 'cancelled']),
  fault: z.object({ code: z.string(), message: z.string() }).optional(),
});

/** How a job ended. */
export type Over = z.infer<typeof overSchema>;
