/** Work on one thing, one piece after the other. */
export interface Turns {
  /** Does this when all that was asked for before on the same key is done, well or not. */
  inTurn<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** Waits for all of it. */
  allDone(): Promise<void>;
}

export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>();
  return {
    inTurn(key, work) {
      const next = (last.get(key) ?? Promise.resolve()).then(work, work);
      last.set(key, next);
      const clear = (): void => {
        if (last.get(key) === next) last.delete(key);
      };
      next.then(clear, clear);
      return next;
    },
    async allDone() {
      await Promise.allSettled(last.values());
    },
  };
}
