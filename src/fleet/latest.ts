/** Work on the newest of what comes faster than it is done: what lies between is passed over. */
export interface Latest<T> {
  give(value: T): void;
  /** Waits until nothing is left to do. @throws what the work threw last */
  settled(): Promise<void>;
}

export function latestOf<T>(work: (value: T) => Promise<void>): Latest<T> {
  let next: { readonly value: T } | undefined;
  let running: Promise<void> | undefined;
  let fault: unknown;
  async function run(): Promise<void> {
    while (next) {
      const { value } = next;
      next = undefined;
      try {
        await work(value);
        fault = undefined;
      } catch (error) {
        fault = error;
      }
    }
    running = undefined;
  }
  return {
    give(value) {
      next = { value };
      running ??= run();
    },
    async settled() {
      await running;
      if (fault !== undefined) throw fault;
    },
  };
}
