import { setTimeout as wait } from 'node:timers/promises';

const LOOK_MS = 25;

/** Waits until something holds; a minute at most. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error('It did not come about within a minute.');
    await wait(LOOK_MS);
  }
}
