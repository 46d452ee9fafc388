import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { isOfRequest } from './jobs/faults';
import type { Job } from './jobs/job';
import type { PieceEvent, Runner } from './jobs/runner';

/** What the server counts, for Prometheus. */
export interface Metrics {
  readonly registry: Registry;
  /** A step that was taken. */
  step(job: Job, event: Extract<PieceEvent, { type: 'step' }>): void;
  /** A picture or a clip that was drawn, how long it took from being handed out, and how many were drawn with it. */
  piece(job: Job, seconds: number, together: number): void;
  /** A job that is over. */
  job(job: Job): void;
  /** A request whose answer has come to its end. */
  request(route: string, status: number, seconds: number): void;
  /** Mean time that the last pictures took of a worker, in seconds. */
  meanSeconds(): number;
}

/** Of drawing: from a small model's picture to a large one's clip. */
const DRAWING = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200];
/** Share that the newest picture has in the mean. */
const NEWEST = 0.2;

/**
 * @param counts what waits and runs now
 * @param bytes of kept files
 */
export function createMetrics(
  runner: Runner,
  counts: () => { readonly waiting: number; readonly running: number },
  bytes: () => number,
): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name: `ertacache_${name}`, help, labelNames, registers });
  const gauge = (name: string, help: string, labelNames: string[], collect: (gauge: Gauge) => void) =>
    new Gauge({
      name: `ertacache_${name}`,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        collect(this);
      },
    });

  gauge('queue_waiting', 'Pictures and clips that wait.', [], each => each.set(counts().waiting));
  gauge('running', 'Pictures and clips that are being drawn.', [], each => each.set(counts().running));
  gauge('ready', '1 when something can be drawn.', [], each => each.set(runner.health().ready ? 1 : 0));
  gauge('kept_bytes', 'Bytes of finished files that are kept.', [], each => each.set(bytes()));
  gauge('server_memory_bytes', 'Resident memory of the server.', [], each => each.set(process.memoryUsage.rss()));
  const ofWorkers = (
    name: string,
    help: string,
    of: (worker: ReturnType<Runner['health']>['workers'][number]) => number,
  ) =>
    gauge(name, help, ['worker'], each => {
      for (const [i, worker] of runner.health().workers.entries()) each.set({ worker: String(i) }, of(worker));
    });
  ofWorkers('worker_memory_bytes', 'Resident memory of a worker after its last piece.', worker => worker.memory);
  ofWorkers('worker_tensors', 'Tensors of a worker after its last piece.', worker => worker.tensors);
  ofWorkers('worker_restarts', 'How often a worker was started again.', worker => worker.restarts);

  const jobs = counter(
    'jobs_total',
    'Jobs that are over: completed, cancelled, refused (the request is wrong) or failed.',
    ['kind', 'status'],
  );
  const computed = counter('forwards_computed_total', 'Forward passes that were computed.', ['model']);
  const steps = counter('steps_total', 'Denoising steps, computed and reused.', ['model']);
  const reused = counter('forwards_reused_total', 'Forward passes that the cache spared.', ['model']);
  const cacheBytes = new Gauge({
    name: 'ertacache_cache_bytes',
    help: 'Bytes that the caches held after the last step.',
    labelNames: ['model'],
    registers,
  });
  const drawing = new Histogram({
    name: 'ertacache_draw_seconds',
    help: 'Time of one picture or clip, from being handed to a worker to its file.',
    labelNames: ['model'],
    buckets: DRAWING,
    registers,
  });
  const requests = new Histogram({
    name: 'ertacache_request_seconds',
    help: 'Time to the end of an answer.',
    labelNames: ['route', 'status'],
    buckets: [0.005, 0.02, ...DRAWING],
    registers,
  });
  let mean = 1;

  return {
    registry,
    step({ order }, event) {
      const { model } = order.request;
      steps.inc({ model });
      computed.inc({ model }, event.forwards);
      reused.inc({ model }, Math.max(0, 1 - event.forwards));
      cacheBytes.set({ model }, event.cacheBytes);
    },
    piece({ order }, seconds, together) {
      drawing.observe({ model: order.request.model }, seconds);
      mean += NEWEST * (seconds / together - mean);
    },
    job: ({ kind, status, error }) =>
      jobs.inc({ kind, status: status === 'failed' && error && isOfRequest(error.code) ? 'refused' : status }),
    request: (route, status, seconds) => requests.observe({ route, status: String(status) }, seconds),
    meanSeconds: () => mean,
  };
}
