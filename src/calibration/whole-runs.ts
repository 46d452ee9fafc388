import type { FarRuns, Job } from '../sampling/pipeline';
import { referenceBytes } from './reference-memory';

/** A job whose whole runs are asked for at once. */
export type WholeJob = Job & { readonly far: FarRuns };

/** Bytes of an uncached run with all that is kept of it, in one answer. */
const MOST_SENT = 64e6;

/**
 * Whether whole runs of a job are made where its model is: where what comes back is small. Of others the forward passes are
 * asked for one by one.
 */
export const asksWhole = (job: Job): job is WholeJob => job.far !== undefined && referenceBytes([job]) <= MOST_SENT;
