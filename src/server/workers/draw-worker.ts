/*
 * A process that draws, one batch after the other, for the server that started it. TensorFlow.js computes on the thread that
 * answers, so it is kept out of the server's.
 */
import * as tf from '@tensorflow/tfjs-core';
import { selectBackend } from '../../engine/select';
import { ErtaError, InterruptedError } from '../../errors';
import { Refusal } from '../jobs/faults';
import type { Piece } from '../jobs/order';
import type { Checkpointing, Finished } from '../jobs/runner';
import { type Drawing, drawPieces } from './draw-pieces';
import { type FarAnswers, farAnswers } from './far-call';
import type { FarTarget } from './far-target';
import { type Begin, type Fault, type FromWorker, type ToWorker, toWorkerSchema } from './messages';
import { heldModels } from './models';
import { servedPolicies } from './policies';

let drawing: Drawing | undefined;
let answers: FarAnswers | undefined;
/** Folders of this machine, which errors are told without. */
let folders: Begin['models'] = {};
/** What is drawn, and what waits for that. */
const batches = new Map<number, Batch>();
let last: Promise<void> = Promise.resolve();

const say = (message: FromWorker): void => void process.send?.(message);

function free(): void {
  const { numTensors } = tf.memory();
  say({
    type: 'free',
    memory: process.memoryUsage.rss(),
    tensors: numTensors,
    models: drawing?.models.names() ?? [],
  });
}

/** What went wrong, with the names that clients know in place of folders. */
function faultOf(error: unknown): Fault {
  const named = (text: string): string =>
    Object.entries(folders).reduce((told, [name, folder]) => told.replaceAll(folder, name), text);
  if (error instanceof Refusal) return { code: error.code, message: named(error.message) };
  if (!ErtaError.isInstance(error)) return { code: 'failure', message: named(String((error as Error)?.message)) };
  const { code, message, hint } = error;
  return { code, message: named(message), ...(hint !== undefined && { hint: named(hint) }) };
}

async function begin({ backend, threads, verbose, models, publicNames, policies, held, first }: Begin): Promise<void> {
  folders = models;
  try {
    const choice = await selectBackend(backend, { verbose, threads });
    drawing = { models: heldModels(models, held), policies: servedPolicies(policies), publicNames };
    answers = farAnswers(drawing.models);
    say({ type: 'ready', kind: choice.kind, backend: `backend: ${choice.label}` });
    if (first !== undefined) await drawing.models.take(first);
  } catch (error) {
    say({ type: 'cannot', fault: faultOf(error) });
  }
  free();
}

interface Batch {
  /** Never throws: what goes wrong is told. */
  draw(): Promise<void>;
  stop(row: number): void;
}

function batchOf(id: number, pieces: readonly Piece[], checkpoint?: Checkpointing): Batch {
  const controller = new AbortController();
  const open = new Set(pieces.keys());
  let hasBegun = false;
  const fail = (row: number, error: unknown): void => {
    if (open.delete(row)) say({ type: 'failed', id, row, fault: faultOf(error) });
  };
  /** Draws these rows together; those that cannot be are drawn one by one, so that none fails for another's sake. */
  async function drawRows(rows: readonly number[]): Promise<void> {
    try {
      if (!drawing) throw new Error('A piece came before the backend.');
      const files = await drawPieces(
        drawing,
        rows.map(row => pieces[row] as Piece),
        {
          signal: controller.signal,
          onStep: event => say({ ...event, id }),
          onPreview(place, event) {
            const row = rows[place] as number;
            if (open.has(row)) say({ ...event, id, row });
          },
          checkpoint: checkpoint && {
            every: checkpoint.every,
            read: async () => checkpoint.last,
            write: async (_, bytes) => say({ type: 'checkpoint', id, row: 0, bytes }),
            async remove() {},
          },
        },
      );
      for (const [place, file] of files.entries()) await finish(rows[place] as number, file);
    } catch (error) {
      if (rows.length === 1 || controller.signal.aborted) for (const row of rows) fail(row, error);
      else for (const row of [...open]) await drawRows([row]);
    }
  }
  async function finish(row: number, file: () => Promise<Finished>): Promise<void> {
    if (!open.has(row)) return;
    try {
      const finished = await file();
      if (open.delete(row)) say({ type: 'done', id, row, ...finished });
    } catch (error) {
      fail(row, error);
    }
  }
  return {
    async draw() {
      hasBegun = true;
      if (open.size > 0) await drawRows([...open]);
    },
    stop(row) {
      // The last one is told when the work has ended.
      if (open.size > 1 || !hasBegun) fail(row, new InterruptedError());
      else if (open.has(row)) controller.abort();
    },
  };
}

/** A question takes its turn as a batch does. */
function questionOf(id: number, target: FarTarget, question: Uint8Array): Batch {
  const controller = new AbortController();
  return {
    async draw() {
      try {
        if (!answers) throw new Error('A question came before the backend.');
        say({ type: 'answered', id, row: 0, bytes: await answers.answer(target, question, controller.signal) });
      } catch (error) {
        say({ type: 'failed', id, row: 0, fault: faultOf(error) });
      }
    },
    stop: () => controller.abort(),
  };
}

/** Draws a batch when those before it are drawn. */
function take(id: number, batch: Batch): void {
  batches.set(id, batch);
  last = last.then(async () => {
    await batch.draw();
    batches.delete(id);
    free();
  });
}

process.on('message', (given: unknown) => {
  const message = toWorkerSchema.parse(given) satisfies ToWorker;
  if (message.type === 'begin') void begin(message);
  else if (message.type === 'stop') batches.get(message.id)?.stop(message.row);
  else if (message.type === 'ask') take(message.id, questionOf(message.id, message.target, message.question));
  else take(message.id, batchOf(message.id, message.pieces, message.checkpoint));
});

// Ctrl-C and a service manager reach the whole group of processes; the server says what is to be finished.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
process.on('disconnect', () => process.exit());
