/*
 * A process that draws, one piece at a time, for the server that started it. TensorFlow.js computes on the thread that
 * answers, so it is kept out of the server's.
 */
import * as tf from '@tensorflow/tfjs-core';
import { describeChoice, selectBackend } from '../../engine/select';
import { ErtaError } from '../../errors';
import { Refusal } from '../jobs/faults';
import type { Piece } from '../jobs/order';
import { type Drawing, drawPiece } from './draw-piece';
import { type Begin, type Fault, type FromWorker, type ToWorker, toWorkerSchema } from './messages';
import { heldModels } from './models';
import { servedPolicies } from './policies';

let drawing: Drawing | undefined;
/** Folders of this machine, which errors are told without. */
let folders: Begin['models'] = {};
let running: { readonly id: number; readonly controller: AbortController } | undefined;

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

async function begin({ backend, threads, verbose, models, policies, held, first }: Begin): Promise<void> {
  folders = models;
  try {
    const choice = await selectBackend(backend, { verbose, threads });
    drawing = { models: heldModels(models, held), policies: servedPolicies(policies) };
    say({ type: 'ready', backend: describeChoice(choice) });
    if (first !== undefined) await drawing.models.take(first);
  } catch (error) {
    say({ type: 'cannot', fault: faultOf(error) });
  }
  free();
}

async function drawOne(id: number, piece: Piece): Promise<void> {
  const controller = new AbortController();
  running = { id, controller };
  try {
    if (!drawing) throw new Error('A piece came before the backend.');
    const finished = await drawPiece(drawing, piece, {
      signal: controller.signal,
      onEvent: event => say({ ...event, id }),
    });
    say({ type: 'done', id, ...finished });
  } catch (error) {
    say({ type: 'failed', id, fault: faultOf(error) });
  }
  running = undefined;
  free();
}

process.on('message', (given: unknown) => {
  const message = toWorkerSchema.parse(given) satisfies ToWorker;
  if (message.type === 'begin') void begin(message);
  else if (message.type === 'stop') {
    if (running?.id === message.id) running.controller.abort();
  } else {
    const { type: _, id, ...piece } = message;
    void drawOne(id, piece);
  }
});

// Ctrl-C and a service manager reach the whole group of processes; the server says what is to be finished.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
process.on('disconnect', () => process.exit());
