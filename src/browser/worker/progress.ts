import type { Progress } from '../types';

/** Told of work, it says how long it has taken and how long it will take. */
export interface Watched {
  at(done: number, total: number, note: string): void;
}

/** @param tell told how far some work has come */
export function watch(tell: (progress: Progress) => void): Watched {
  const started = performance.now();
  return {
    at(done, total, note) {
      const seconds = (performance.now() - started) / 1000;
      const left = done > 0 ? { secondsLeft: (seconds * Math.max(0, total - done)) / done } : {};
      tell({ done, total, seconds, note, ...left });
    },
  };
}
