import { parseReceipt } from '../../draw/receipt';
import { UsageError } from '../../errors';
import { serializePolicy } from '../../policy/bytes';
import { policyInfo, readPolicyFiles } from '../load/policies';
import { toPlain } from '../plain-error';
import type { CallName, Calls, ToPage, ToWorker } from '../protocol';
import { calibrateFor } from './calibrate';
import { compareFor } from './compare';
import { drawFor, encodeFor, repeatFor } from './draw';
import { requireFitsModel } from './policy-model';
import { type Job, openSession, type Session } from './session';

/** What a worker does its part of the line with: its own global scope. */
export interface Scope {
  postMessage(message: ToPage, transfer: Transferable[]): void;
  addEventListener(type: 'message', listener: (event: { readonly data: ToWorker }) => void): void;
}

type Answers = {
  readonly [N in CallName]: (
    session: Session,
    asked: Calls[N]['asked'],
    job: Job<Calls[N]['told']>,
  ) => Promise<Calls[N]['answer']>;
};

const answers: Answers = {
  load: (session, asked, job) => session.load(asked, job),
  draw: (session, asked, job) =>
    session.run(asked.request.model, job.signal, (entry, backend) => drawFor(entry, asked, backend, job)),
  async repeat(session, { receipt: given, model, wanted }, job) {
    const receipt = parseReceipt(given, 'the given object');
    const asked = { receipt, wanted };
    return session.run(model ?? receipt.model.id, job.signal, (entry, backend) =>
      repeatFor(entry, asked, backend, job),
    );
  },
  calibrate: (session, asked, job) => session.run(asked.model, job.signal, entry => calibrateFor(entry, asked, job)),
  compare: (session, asked, job) =>
    session.run(asked.model, job.signal, (entry, backend) => compareFor(entry, asked, backend, job)),
  async addPolicy(session, { files, model }) {
    const { pipeline, policies } = session.model(model);
    const named = await readPolicyFiles(files);
    requireFitsModel(named.policy, pipeline.info);
    policies.add(named);
    return policyInfo(named);
  },
  async policyFiles(session, { policy: wanted, model }) {
    const { name, policy } = session.model(model).policies.find(wanted);
    return { name, ...(await serializePolicy(policy, `${name}.json`)) };
  },
  encode: (_, asked) => encodeFor(asked),
  async unload(session, { model }) {
    session.unload(model);
    return undefined;
  },
};

/** Answers the calls of the page that made this worker. The page sends one at a time. */
export function serve(scope: Scope): void {
  let session: Session | undefined;
  const running = new Map<number, AbortController>();
  const send = (message: ToPage, transfer: Transferable[] = []): void => scope.postMessage(message, transfer);

  async function answer(id: number, call: CallName, asked: never): Promise<void> {
    const controller = new AbortController();
    running.set(id, controller);
    try {
      if (!session) throw new UsageError('The worker was asked before it was told how to compute.');
      const job: Job<Readonly<Record<string, unknown>>> = {
        signal: controller.signal,
        tell: (event, value, transfer) => send({ id, told: event, value }, transfer),
      };
      const result = await answers[call](session, asked, job as never);
      send({ id, answer: result }, transferable(result));
    } catch (error) {
      send({ id, error: toPlain(error) });
    } finally {
      running.delete(id);
    }
  }

  scope.addEventListener('message', ({ data }) => {
    if ('start' in data) session = openSession(data.start, notice => send({ notice }));
    else if ('abort' in data) running.get(data.id)?.abort();
    else void answer(data.id, data.call, data.asked as never);
  });
}

/** What of an answer can be handed over instead of copied: the pixels of a picture, its bitmaps, or its file. */
function transferable(answer: unknown): Transferable[] {
  if (typeof answer !== 'object' || answer === null || !('media' in answer)) return [];
  const { media } = answer as { media: unknown };
  if (Array.isArray(media)) return media;
  if (typeof media !== 'object' || media === null) return [];
  return Object.values(media).flatMap(part => (ArrayBuffer.isView(part) ? [part.buffer as ArrayBuffer] : []));
}
