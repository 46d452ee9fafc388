/** Pieces of work that are told of Ctrl-C and end by themselves. */
let listening = 0;

const AFTER_STEP = '\nStopping after this step; press Ctrl-C again to stop at once.\n';

/**
 * Runs `work` with a signal that Ctrl-C aborts, so that a step can end cleanly and finished files stay. A second
 * Ctrl-C ends the process at once.
 * @param said what is said at the first
 */
export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
  said: string = AFTER_STEP,
): Promise<T> {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(130);
    process.stderr.write(said);
    controller.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  listening++;
  try {
    return await work(controller.signal);
  } finally {
    listening--;
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}

/** Says that the process ends, and ends it, where Ctrl-C meets no work that ends by itself. */
export function endOnInterrupt(): void {
  const end = (): void => {
    if (listening > 0) return;
    process.stderr.write('\nInterrupted.\n');
    process.exit(130);
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
}
