/**
 * Threads that compute the kernels' shares beside the one that calls them, in a memory that tfjs's module shares with its
 * own threads.
 */
import { EngineError } from '../../errors';
import { nodeBuiltin } from '../../io/node-builtin';
import type { CompiledKernels, KernelArguments, KernelCall, KernelLevel } from './module';

/** Kernels in the order in which threads know them. */
const NAMES: readonly (keyof KernelArguments)[] = [
  ...(['product', 'attend', 'layerNorm', 'rmsNorm', 'rotate', 'gated', 'activate'] as const),
];

/** What all members of a crew see, and what each makes its own of. */
interface Place {
  /** Four words that are changed atomically, a count for each member, and the job as numbers: see `member`. */
  readonly control: SharedArrayBuffer;
  readonly memory: WebAssembly.Memory;
  readonly code: readonly WebAssembly.Module[];
  readonly names: readonly string[];
  /** 0 is the one that calls. */
  readonly index: number;
}

/** One that computes shares. */
interface Member {
  /** Takes shares of the job and computes them until none is left. */
  work(): void;
  /** Waits until there is a job; false when there will be none. */
  wait(): boolean;
}

/**
 * A member of a crew. Shares are taken one by one, by whoever is free, so that nobody waits for a thread that has not
 * started or that the machine keeps from running. A job is written only when all shares of the one before are done, so
 * that who has taken a share can read it at leisure.
 *
 * Threads get the text of this function: it stands by itself.
 */
function member({ control, memory, code, names, index }: Place): Member {
  const [left, undone, asleep, failed] = [0, 1, 2, 3] as const;
  // Some tens of microseconds, about what lies between two kernels; who is not needed by then sleeps.
  const spins = 20_000;
  const words = new Int32Array(control, 0, 4);
  const taken = new Uint32Array(control, 256);
  const job = new Float64Array(control, 512);
  const kernels = code.map(each => {
    const { exports } = new WebAssembly.Instance(each, { env: { memory } });
    return names.map(name => exports[name] as (...given: number[]) => void);
  });
  const compute = (share: number): void => {
    const [level, kernel, parts, scratch, bytes, count] = job.subarray(0, 6);
    const given = job.subarray(6, 6 + count!);
    kernels[level!]![kernel!]!(...given, share, parts!, scratch! + index * bytes!);
  };
  return {
    work() {
      for (;;) {
        const share = Atomics.load(words, left) - 1;
        if (share < 0) return;
        if (Atomics.compareExchange(words, left, share + 1, share) !== share + 1) continue;
        try {
          taken[index]!++;
          compute(share);
        } catch {
          Atomics.store(words, failed, 1);
        }
        if (Atomics.sub(words, undone, 1) === 1) Atomics.notify(words, undone);
      }
    },
    wait() {
      for (let spin = 0; spin < spins; spin++) if (Atomics.load(words, left) > 0) return true;
      Atomics.add(words, asleep, 1);
      Atomics.wait(words, left, 0);
      Atomics.sub(words, asleep, 1);
      return Atomics.load(words, left) >= 0;
    },
  };
}

const LOOP = `const me = (${member})(place); while (me.wait()) me.work();`;

/** Starts a thread with its place; it keeps no process alive. */
function startThread(place: Place): void {
  const node = nodeBuiltin('worker_threads');
  if (node) {
    const text = `const place = process.getBuiltinModule('worker_threads').workerData; ${LOOP}`;
    const worker = new node.Worker(text, { eval: true, execArgv: [], workerData: place });
    // What a thread that cannot start would have done, the others do.
    worker.on('error', () => {});
    worker.unref();
    return;
  }
  const text = `onmessage = ({ data: place }) => { ${LOOP} close(); };`;
  const address = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
  const worker = new Worker(address);
  worker.onerror = event => event.preventDefault();
  worker.postMessage(place);
}

/** A crew at work on one memory. */
export interface Crew {
  /** How many compute, the caller among them. */
  readonly threads: number;
  /**
   * Computes all shares of a kernel's work; returns when they are done.
   * @param scratch address of memory, `bytes` of it for each thread
   */
  run(level: KernelLevel, call: KernelCall, parts: number, scratch: number, bytes: number): void;
  /** How many shares each has computed, the caller first. */
  taken(): readonly number[];
  /** Lets the threads end; a second time does nothing. */
  release(): void;
}

/** Whether the caller may sleep until threads are done: the main thread of a page may not. */
export function canWait(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * Starts threads.
 * @param memory one that can be shared
 * @param levels all that may be asked for
 */
export function startCrew(memory: WebAssembly.Memory, levels: readonly CompiledKernels[], threads: number): Crew {
  const control = new SharedArrayBuffer(1024);
  const words = new Int32Array(control, 0, 4);
  const job = new Float64Array(control, 512);
  const place = { control, memory, code: levels.map(({ code }) => code), names: NAMES };
  for (let index = 1; index < threads; index++) startThread({ ...place, index });
  const self = member({ ...place, index: 0 });
  const [left, undone, asleep, failed] = [0, 1, 2, 3] as const;
  return {
    threads,
    run(level, [name, ...given], parts, scratch, bytes) {
      const which = levels.findIndex(each => each.level === level);
      job.set([which, NAMES.indexOf(name), parts, scratch, bytes, given.length, ...given]);
      Atomics.store(words, undone, parts);
      Atomics.store(words, left, parts);
      if (Atomics.load(words, asleep) > 0) Atomics.notify(words, left);
      self.work();
      for (let spin = 0; ; spin++) {
        const count = Atomics.load(words, undone);
        if (count === 0) break;
        if (spin > 5000) Atomics.wait(words, undone, count);
      }
      if (Atomics.exchange(words, failed, 0) !== 0) throw new EngineError('A kernel failed in a thread.');
    },
    taken: () => [...new Uint32Array(control, 256, threads)],
    release() {
      Atomics.store(words, left, -1);
      Atomics.notify(words, left);
    },
  };
}
