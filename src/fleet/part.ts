import { z } from 'zod';
import { sha256 } from '../io/sha256';
import { farTargetSchema } from '../server/workers/far-target';
import { own } from './names';

/** A part of a calibration or a comparison as it waits in Redis: a question about a model, whose bytes lie beside it. */
export const fleetPartSchema = z.object({
  format: z.literal('ertacache-fleet-part'),
  version: z.literal(1),
  target: farTargetSchema,
  /** Version of ertacache that decides the digits. */
  ertacache: z.string(),
});

/** A part as it waits in Redis. */
export type FleetPart = z.infer<typeof fleetPartSchema>;

/** What is asked, and of what, names a part: equal ones have one answer. */
export const partId = ({ target, ertacache }: FleetPart, question: Uint8Array): string =>
  sha256(JSON.stringify([target, ertacache, sha256(question)]));

/** Keys of a part's question and answer in Redis. */
export const PART_KEYS = {
  question: (id: string): string => own('part', id, 'question'),
  answer: (id: string): string => own('part', id, 'answer'),
  /** How many wait for it. */
  askers: (id: string): string => own('part', id, 'askers'),
  /** Why there is none. */
  fault: (id: string): string => own('part', id, 'fault'),
} as const;

/** Questions and answers are of one run of a command: so long, in seconds, they outlive one that was cut. */
export const PART_KEEP_S = 3600;
