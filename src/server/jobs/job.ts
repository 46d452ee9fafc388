import { z } from 'zod';
import { receiptSchema } from '../../draw/receipt';
import { orderSchema } from './order';

/** Marks a job's file as ours. */
export const JOB_FORMAT = 'ertacache-job';

/** What a text encoder did not read of a prompt. */
const unreadSchema = z.object({ encoder: z.string(), unknown: z.array(z.string()), dropped: z.string() });

export const resultFields = {
  /** The file's name in the job's folder. */
  name: z.string().regex(/^\d+\.[a-z0-9]+$/),
  bytes: z.int().nonnegative(),
  receipt: receiptSchema,
  /** Time of the sampling loop. */
  seconds: z.number(),
  width: z.int(),
  height: z.int(),
  /** 1 for a picture. */
  frames: z.int(),
  /** Frames a second of a clip. */
  fps: z.number().optional(),
  unread: z.array(unreadSchema),
  /** Forward passes of pictures that were not sure enough, and were computed again with more. */
  discarded: z.number().optional(),
} as const;

/** One file of a finished job, which lies beside it. */
const resultSchema = z.object(resultFields);

/** Milliseconds since 1970. */
const time = z.number();

/** A job as it is kept. */
export const jobSchema = z.object({
  format: z.literal(JOB_FORMAT),
  version: z.literal(1),
  /** What identifies it in the store: nobody outside chooses it. */
  key: z.string().regex(/^[0-9a-f]{32}$/),
  /** What the client calls it. */
  id: z.string(),
  /** Whose it is: the fingerprint of an API key. */
  owner: z.string(),
  kind: z.enum(['image', 'video']),
  /** Under which its files can be fetched without a key; cannot be guessed. */
  token: z.string(),
  /** Content hash of the body, by which equal ones are told. */
  content: z.string(),
  order: orderSchema,
  status: z.enum(['queued', 'in_progress', 'completed', 'failed', 'cancelled']),
  created: time,
  started: time.optional(),
  finished: time.optional(),
  /** How often it was begun. */
  attempts: z.int().nonnegative(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
  results: z.array(resultSchema),
});

/** A job as it is kept. */
export type Job = z.infer<typeof jobSchema>;
export type JobResult = z.infer<typeof resultSchema>;

/** Whether nothing more will be done for it. */
export const isOver = ({ status }: Pick<Job, 'status'>): boolean => status !== 'queued' && status !== 'in_progress';

/** Bytes of its files. */
export const bytesOf = ({ results }: Job): number => results.reduce((sum, { bytes }) => sum + bytes, 0);
