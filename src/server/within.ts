/** The longest that timers take, in milliseconds. */
const LONGEST = 2 ** 31 - 1;

/** Waits until all of this is over, well or not, but no longer than so many milliseconds. */
export async function within(ms: number, all: readonly Promise<unknown>[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>(resolve => {
    timer = setTimeout(resolve, Math.min(ms, LONGEST));
  });
  await Promise.race([Promise.allSettled(all), late]);
  clearTimeout(timer);
}
