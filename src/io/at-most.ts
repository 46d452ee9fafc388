/** Does work as it is handed in, no more than `limit` pieces at a time; the others wait their turn. */
export function atMost(limit: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async work => {
    if (running >= limit) await new Promise<void>(resolve => waiting.push(resolve));
    else running++;
    try {
      return await work();
    } finally {
      // The place goes to the next in line, so that nobody who comes now takes it.
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
}
