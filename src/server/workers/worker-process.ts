import { type ChildProcess, fork } from 'node:child_process';
import { constants, getPriority, setPriority } from 'node:os';
import { extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { EngineKind } from '../../engine/types';
import { EngineError, type ErrorCode, ErtaError, InterruptedError } from '../../errors';
import type { Assignment, Finished, PieceEvent, Question, WorkerHealth } from '../jobs/runner';
import type { Log } from '../log';
import { type Begin, type Fault, type FromWorker, fromWorkerSchema, type ToWorker } from './messages';

/** One process that draws. It is started again when it ends, unless it does so again and again. */
export interface Worker {
  isFree(): boolean;
  /** Whether it comes to the end of what it draws, and has no batch to draw after that. */
  isEnding(): boolean;
  /** On what it draws, once that is known. */
  kind(): EngineKind | undefined;
  /** Names of the models that it has in memory. */
  models(): readonly string[];
  /**
   * Draws a batch, after the one that it draws.
   * @param onEnding called at most once, when it can be handed another one already
   * @returns for each piece its file, or why there is none: NotDrawn where it should be drawn by another worker
   */
  draw(batch: readonly Assignment[], onEnding: () => void): readonly Promise<Finished>[];
  /** Answers a question, after what it draws. @throws NotDrawn where another worker should answer it */
  ask(question: Question): Promise<Uint8Array>;
  health(): WorkerHealth;
  /** What is wrong with it, where something is. */
  fault(): string | undefined;
  /** Called when it can take a batch. */
  onFree: () => void;
  /** Called when it is given up. */
  onStopped: () => void;
  close(): Promise<void>;
}

export interface WorkerOptions {
  readonly number: number;
  readonly begin: Begin;
  readonly log: Log;
  readonly script?: string | undefined;
}

/** Ends one after the other, with no piece finished between them, after which it is not started again. */
const MOST_ENDS = 8;
/** Before it is started again, in milliseconds; twice as long after every further end. */
const FIRST_WAIT = 250;
const LONGEST_WAIT = 30_000;
/** By how much the nice value of a worker is above the server's. */
const LESS_URGENT = 5;
/** A process that was asked to end has so long to do it, in milliseconds. */
const LAST_WORDS = 2000;

/**
 * What a batch takes at most from when another one is handed over to when that is begun, in milliseconds: only batches of
 * quick steps are soon over after their last one, and what waits for a slow worker could have gone to another.
 */
const AHEAD_MS = 500;

/** It lies beside this file, built or not. */
const SCRIPT = join(__dirname, `draw-worker${extname(__filename)}`);

/** A piece that is being drawn. */
interface Row {
  isOver(): boolean;
  onEvent(event: PieceEvent): void;
  /** It is drawn or answered, or failed; what comes after the first call is passed over. */
  resolve(told: { readonly bytes: Uint8Array }): void;
  reject(error: unknown): void;
}

interface Running {
  readonly id: number;
  readonly rows: readonly Row[];
  /** When its worker was free for it, in milliseconds. */
  began: number;
  isEnding: boolean;
  onEnding(): void;
}

/** A piece that ended with a process without being the reason for it, or only perhaps. */
export class NotDrawn extends Error {
  constructor(
    /** Whether it was begun, together with others: one of them may have ended the process. */
    readonly wasBegun: boolean,
  ) {
    super('The process that was to draw it is gone.');
  }
}

export function startWorker({ number, begin, log, script = SCRIPT }: WorkerOptions): Worker {
  let child: ChildProcess | undefined;
  let state: WorkerHealth['state'] = 'starting';
  /** The batch that is drawn, and the one after that. */
  let queue: readonly Running[] = [];
  let kind: EngineKind | undefined;
  let models: readonly string[] = [];
  let told = { memory: 0, tensors: 0 };
  let fault: string | undefined;
  let ends = 0;
  let restarts = 0;
  let nextId = 0;
  let isReady = false;
  let isClosing = false;
  let timer: NodeJS.Timeout | undefined;

  const worker: Worker = {
    isFree: () => state === 'idle',
    isEnding: () => queue.length === 1 && queue[0]?.isEnding === true && !isClosing,
    kind: () => kind,
    models: () => models,
    draw,
    ask,
    health: () => ({ state, ...(child?.pid !== undefined && { pid: child.pid }), ...told, restarts, models }),
    fault: () => fault,
    onFree() {},
    onStopped() {},
    close,
  };

  function start(): void {
    state = 'starting';
    isReady = false;
    models = [];
    // Binary messages as they are, not as JSON.
    child = fork(script, { serialization: 'advanced', stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env: process.env });
    const { pid } = child;
    yieldToServer(pid);
    for (const stream of [child.stdout, child.stderr]) {
      // Where no process could be started, there may be none.
      if (!stream) continue;
      createInterface({ input: stream }).on('line', line => log.warn({ worker: number, pid, line }, 'worker'));
    }
    const ours = child;
    child.on('message', message => {
      if (ours === child) heard(message);
    });
    child.on('error', error => {
      log.error({ worker: number, error: error.message }, 'worker process');
      // Of one that could not be started no end is told.
      if (ours === child && pid === undefined) ended(error.message);
    });
    child.once('exit', (code, signal) => {
      if (ours === child) ended(signal ?? `code ${code}`);
    });
    send({ ...begin, type: 'begin' });
  }

  function send(message: ToWorker): void {
    // Where it has just ended, its end is told by 'exit'.
    if (child?.connected) child.send(message, () => {});
  }

  function heard(given: unknown): void {
    const parsed = fromWorkerSchema.safeParse(given);
    if (!parsed.success) {
      log.error({ worker: number, issue: parsed.error.issues[0]?.message }, 'worker said what is no message');
      child?.kill('SIGKILL');
      return;
    }
    const message = parsed.data satisfies FromWorker;
    if (message.type === 'ready') {
      log.info({ worker: number, pid: child?.pid, backend: message.backend }, 'worker ready');
      isReady = true;
      kind = message.kind;
      fault = undefined;
    } else if (message.type === 'cannot') {
      fault = textOf(message.fault);
      log.error({ worker: number, fault }, 'worker cannot draw');
      // Without a backend it would not do better another time.
      if (!isReady) giveUp();
    } else if (message.type === 'free') {
      ({ models } = message);
      told = { memory: message.memory, tensors: message.tensors };
      queue = queue.slice(1);
      const [next] = queue;
      if (next) next.began = performance.now();
      else {
        state = 'idle';
        worker.onFree();
      }
    } else {
      const batch = queue.find(({ id }) => id === message.id);
      if (batch) hearOf(batch, message);
    }
  }

  function hearOf(batch: Running, message: Extract<FromWorker, { id: number }>): void {
    const { id: _, ...event } = message;
    const { rows } = batch;
    if (event.type === 'step') {
      for (const row of rows) row.onEvent(event);
      if (!batch.isEnding && endsSoon(batch, event)) {
        batch.isEnding = true;
        if (worker.isEnding()) batch.onEnding();
      }
      return;
    }
    const { row: number, ...told } = event;
    const row = rows[number];
    if (told.type === 'preview' || told.type === 'checkpoint') row?.onEvent(told);
    else if (told.type === 'failed') row?.reject(errorOf(told.fault));
    else {
      const { type: __, ...finished } = told;
      ends = 0;
      row?.resolve(finished);
    }
  }

  function enter(batch: Omit<Running, 'began' | 'isEnding'>): void {
    state = 'busy';
    queue = [...queue, { ...batch, began: performance.now(), isEnding: false }];
  }

  function giveUp(): void {
    state = 'stopped';
    const last = child;
    child = undefined;
    last?.kill('SIGKILL');
    worker.onStopped();
  }

  function draw(batch: readonly Assignment[], onEnding: () => void): Promise<Finished>[] {
    if (state === 'stopped' || isClosing) {
      return batch.map(() => Promise.reject(gone(fault ?? 'it has been stopped')));
    }
    const id = nextId++;
    const wanted = batch.filter(({ signal }) => !signal.aborted);
    const rows: Row[] = [];
    const drawn = batch.map(each => {
      if (each.signal.aborted) return Promise.reject(new InterruptedError('Stopped before it was begun.'));
      const row = rows.length;
      return new Promise<Finished>((resolve, reject) => {
        const stop = (): void => send({ type: 'stop', id, row });
        rows.push(rowOf(each, stop, told => resolve(told as Finished), reject));
      });
    });
    if (wanted.length > 0) {
      const { checkpoint } = wanted[0] as Assignment;
      send({ type: 'draw', id, pieces: wanted.map(({ piece }) => piece), checkpoint });
      enter({ id, rows, onEnding });
    }
    return drawn;
  }

  async function ask({ target, bytes, signal }: Question): Promise<Uint8Array> {
    if (state === 'stopped' || isClosing) throw gone(fault ?? 'it has been stopped');
    if (signal.aborted) throw new InterruptedError('Stopped before it was begun.');
    const id = nextId++;
    const answered = await new Promise<{ readonly bytes: Uint8Array }>((resolve, reject) => {
      const stop = (): void => send({ type: 'stop', id, row: 0 });
      const rows = [rowOf({ signal, onEvent() {} }, stop, resolve, reject)];
      send({ type: 'ask', id, target, question: bytes });
      // It says nothing on its way, and of few questions one that waits for a worker could have gone to another.
      enter({ id, rows, onEnding() {} });
    });
    return answered.bytes;
  }

  function ended(how: string): void {
    const [rows = [], next = []] = queue.map(batch => batch.rows);
    queue = [];
    child = undefined;
    models = [];
    if (isClosing) {
      state = 'stopped';
      for (const row of [...rows, ...next]) row.reject(new InterruptedError('The server was stopped.'));
      return;
    }
    ends++;
    fault = `worker ${number} ended with ${how}`;
    log.error({ worker: number, how, ends }, 'worker ended');
    if (ends >= MOST_ENDS) {
      fault = `worker ${number} ended ${ends} times in a row, last with ${how}, and is not started again`;
      giveUp();
    } else {
      state = 'waiting';
      timer = setTimeout(
        () => {
          restarts++;
          start();
        },
        Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (ends - 1)),
      );
    }
    const left = rows.filter(row => !row.isOver());
    for (const row of left) row.reject(left.length > 1 ? new NotDrawn(true) : gone(`it ended with ${how}`));
    for (const row of next) row.reject(new NotDrawn(false));
  }

  async function close(): Promise<void> {
    isClosing = true;
    clearTimeout(timer);
    const last = child;
    if (!last || last.exitCode !== null) return;
    await new Promise<void>(resolve => {
      const kill = setTimeout(() => last.kill('SIGKILL'), LAST_WORDS);
      last.once('exit', () => {
        clearTimeout(kill);
        resolve();
      });
      for (const { id, rows } of queue) for (const row of rows.keys()) send({ type: 'stop', id, row });
      last.disconnect();
    });
  }

  start();
  return worker;
}

/** Whether a batch is over within `AHEAD_MS`, as its steps went until now. */
function endsSoon({ began }: Running, { done, total }: { readonly done: number; readonly total: number }): boolean {
  const each = (performance.now() - began) / done;
  return each <= AHEAD_MS && each * (total - done) <= AHEAD_MS;
}

/** Lets the server answer first: drawing takes whole processors, and its answers take little. */
function yieldToServer(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, Math.min(constants.priority.PRIORITY_LOW, getPriority() + LESS_URGENT));
  } catch {
    // Where the system does not let it, or the process has just ended, it is drawn at the same priority.
  }
}

function rowOf(
  { signal, onEvent }: Pick<Assignment, 'signal' | 'onEvent'>,
  stop: () => void,
  resolve: (told: { readonly bytes: Uint8Array }) => void,
  reject: (error: unknown) => void,
): Row {
  let isOver = false;
  const settle = (): void => {
    isOver = true;
    signal.removeEventListener('abort', stop);
  };
  signal.addEventListener('abort', stop, { once: true });
  return {
    isOver: () => isOver,
    // Of one that was stopped nothing is told any more, though its batch goes on.
    onEvent: event => !isOver && onEvent(event),
    resolve(told) {
      settle();
      resolve(told);
    },
    reject(error) {
      settle();
      reject(error);
    },
  };
}

function gone(how: string): EngineError {
  return new EngineError(`The process that draws is gone: ${how}.`, {
    hint: 'Ask again; the log of the server says more.',
  });
}

const textOf = ({ message, hint }: Fault): string => (hint ? `${message} ${hint}` : message);

/** A failure of another process as the error that it was there. */
function errorOf({ code, message, hint }: Fault): Error {
  if (code === 'interrupted') return new InterruptedError(message);
  if (code === 'failure') return new Error(message);
  return new ErtaError(code as ErrorCode, message, { hint });
}
