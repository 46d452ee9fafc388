import * as tf from '@tensorflow/tfjs-core';
import { EngineError, ErtaError } from '../errors';
import { requireObject, wrongArgument } from '../io/arguments';
import { heedFaults } from './gpu-faults';
import { loadBackend } from './load';
import { type Candidate, candidates } from './locate';
import type { BackendRequest, EngineChoice, EngineKind, Rejection } from './types';

/** How a backend is chosen. */
export interface SelectOptions {
  /** Whether TensorFlow may write to stderr. */
  verbose?: boolean | undefined;
  /** The environment; `process.env` unless given. */
  env?: NodeJS.ProcessEnv | undefined;
  /** How many threads compute; the backend's own choice unless given: one for WebAssembly, all for TensorFlow. */
  threads?: number | undefined;
  /** The ways to get a backend, the best first, and how to load one; for tests. */
  from?: readonly Candidate[] | undefined;
  /** Loads a candidate. */
  load?: typeof loadBackend | undefined;
}

const MEND: Record<EngineKind, string> = {
  gpu: 'Run `npm install @tensorflow/tfjs-node-gpu`, or link a TensorFlow with CUDA: `pip install tensorflow[and-cuda]`, then `ertacache engine link`.',
  webgpu:
    'Run `npm install webgpu @tensorflow/tfjs-backend-webgpu`; on Linux the Vulkan loader (libvulkan1) is needed in addition to the driver.',
  native: 'Run `pip install tensorflow`, then `ertacache engine link`; `ertacache doctor` says what is missing.',
  wasm: 'Run `npm install @tensorflow/tfjs-backend-wasm`, in the version of @tensorflow/tfjs-core.',
  cpu: 'Run `npm install @tensorflow/tfjs-backend-cpu`, in the version of @tensorflow/tfjs-core.',
};

/** What a command says about its backend: one line, what was faster and is lost, and under --verbose why it is not a faster one. */
export function describeChoice({ label, rejected }: EngineChoice, verbose = false): string {
  const told = rejected.filter(({ hint }) => verbose || hint !== undefined);
  const others = told.map(({ kind, reason, hint }) => `\n  not ${kind}: ${reason}${hint ? `. ${hint}` : ''}`);
  return `backend: ${label}${others.join('')}`;
}

/**
 * Chooses where tensors run, loads only that, and makes it tfjs's current backend.
 *
 * `auto` takes the first that works of: tfjs-node-gpu, tfjs-node, the linked TensorFlow, WebAssembly, JavaScript. WebGPU
 * is taken only on request: it is fast for large models and slow for small ones.
 * @param request which kind of backend: `auto`, or one by name
 * @param options threads, and whether TensorFlow may write to stderr
 * @returns which backend was taken, one line that says so, and what `auto` passed over
 * @throws UsageError for a name that no backend has
 * @throws EngineError when the one that was asked for cannot be used
 * @example
 * const engine = await selectBackend('auto');
 * console.log(engine.label); // native (TensorFlow 2.21.0, linked)
 */
export async function selectBackend(request: BackendRequest, options: SelectOptions = {}): Promise<EngineChoice> {
  requireKind(request);
  requireObject('options', options, 'an object');
  const { verbose = false, env = process.env, threads, from = candidates, load = loadBackend } = options;
  const rejected: Rejection[] = [];
  const hints: string[] = [];
  for (const candidate of from) {
    const { kind, backend } = candidate;
    if (request === 'auto' ? candidate.onlyNamed : request !== kind) continue;
    try {
      const label = await load(candidate, { env, verbose, threads });
      if (!(await tf.setBackend(backend))) throw new Error(`tfjs could not start its backend '${backend}'`);
      if (backend === 'webgpu') heedFaults(tf.backend());
      return { kind, backend, label, rejected };
    } catch (error) {
      const reason =
        error instanceof Error ? (error.message.split('\n')[0] as string).replace(/\.$/, '') : String(error);
      const hint = ErtaError.isInstance(error) ? error.hint : undefined;
      rejected.push({ kind, reason, hint });
      // What was asked for is at fault, not the backend: installing another would not mend it.
      if (hint !== undefined) hints.push(hint);
    }
  }
  const reasons = [...new Set(rejected.map(({ reason }) => reason))].join('; ');
  throw new EngineError(`The backend '${request}' cannot be used: ${reasons}.`, {
    hint: hints[0] ?? MEND[request === 'auto' ? 'cpu' : request],
  });
}

function requireKind(request: BackendRequest): void {
  const known = ['auto', ...Object.keys(MEND)];
  if (known.includes(request)) return;
  throw wrongArgument('request', request, `one of ${known.join(', ')}`);
}
