import type { Writable } from 'node:stream';

/** The streams that a command writes to: results to the one, notes and progress to the other. */
export interface Streams {
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/**
 * Sees to it that a stream which nobody reads costs no result. A reader that has seen enough, as `head` has, is no
 * fault; notes and progress that cannot be written are lost, and what the run writes to files goes on. Results that
 * cannot be written are told, once, and make the exit code.
 * @returns the exit code of a command that ended with this one
 */
export function heedStreams({ stdout, stderr }: Streams): (code: number) => number {
  let isLost = false;
  stderr.on('error', () => {});
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || isLost) return;
    isLost = true;
    stderr.write(`ertacache: The results could not be written to the standard output: ${reasonOf(error)}.\n`);
    // For faults that come when the command has ended.
    process.exitCode ||= 1;
  });
  return code => (code === 0 && isLost ? 1 : code);
}

function reasonOf({ code }: NodeJS.ErrnoException): string {
  if (code === 'ENOSPC') return 'the disk is full';
  return code ? `the system reports ${code}` : 'the system refuses it';
}
