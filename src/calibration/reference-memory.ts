import { activeKind } from '../engine/active-kind';
import { availableMemory, formatBytes, WASM_LIMIT } from '../engine/memory';
import { MemoryError } from '../errors';
import type { Job } from '../sampling/pipeline';

type Sized = Pick<Job, 'latents' | 'sigmas'>;

/** What the uncached run of one pair keeps: its latents before and after every step, and the output of each. */
const latentsKept = ({ sigmas }: Sized): number => 2 * sigmas.length - 1;

/** Bytes of all uncached runs that a calibration compares with: they stay until the schedule and its correction are found. */
export function referenceBytes(jobs: readonly Sized[]): number {
  return jobs.reduce((sum, job) => sum + 4 * job.latents.size * latentsKept(job), 0);
}

/**
 * Refuses more pairs than there is memory for, before any is run.
 * @throws MemoryError saying how many there is room for
 */
export function requireReferenceMemory(jobs: readonly Sized[], available = availableMemory()): void {
  const room = activeKind() === 'wasm' ? Math.min(WASM_LIMIT, available) : available;
  const bytes = referenceBytes(jobs);
  if (bytes <= room) return;
  const pairs = jobs.reduce((sum, { latents }) => sum + (latents.shape[0] as number), 0);
  const most = Math.floor((pairs * room) / bytes);
  throw new MemoryError(
    `The uncached runs of ${pairs} pairs take ${formatBytes(bytes)}; ${formatBytes(room)} are available.`,
    { hint: most > 0 ? `Take at most ${most} (--pairs ${most}).` : 'Take a smaller size, or fewer steps.' },
  );
}
