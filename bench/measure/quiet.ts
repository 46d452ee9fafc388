/** Whether the machine is busy with something else, asked while a measurement rests. */
import { cpus } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';

/** Cores kept busy by others, above which a figure is one of a busy machine. */
export const QUIET = 0.25;
/** How long a sample takes: clocks of processors tick every 10 ms. */
const SAMPLE_MS = 250;

function clocks(): { readonly busy: number; readonly all: number } {
  let [busy, all] = [0, 0];
  for (const { times } of cpus()) {
    const { user, nice, sys, idle, irq } = times;
    busy += user + nice + sys + irq;
    all += user + nice + sys + irq + idle;
  }
  return { busy, all };
}

/** How many cores others keep busy now; who asks must rest meanwhile. */
export async function coresBusyElsewhere(): Promise<number> {
  const before = clocks();
  await pause(SAMPLE_MS);
  const after = clocks();
  const all = after.all - before.all;
  return all > 0 ? (cpus().length * (after.busy - before.busy)) / all : 0;
}

/** Looks at the load between the runs of a table, and waits for quiet as long as there is patience left. */
export interface Watch {
  /** Waits for quiet, then notes the load that there is. */
  look(): Promise<void>;
  /** Mean of what was noted. */
  load(): number;
}

/** @param patience seconds that may be waited in all */
export function watch(patience: number): Watch {
  const seen: number[] = [];
  let left = patience;
  return {
    async look() {
      let load = await coresBusyElsewhere();
      while (load > QUIET && left > 0) {
        const started = performance.now();
        await pause(1000);
        load = await coresBusyElsewhere();
        left -= (performance.now() - started) / 1000;
      }
      seen.push(load);
    },
    load: () => seen.reduce((sum, value) => sum + value, 0) / Math.max(1, seen.length),
  };
}
