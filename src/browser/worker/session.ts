import { UsageError } from '../../errors';
import { lastPart } from '../../io/folder';
import { contenders } from '../../lab/compare/contenders';
import type { Pipeline } from '../../sampling/pipeline';
import { loadParts } from '../load/load-model';
import { fetchPolicies, policyInfo, type Shelf, shelf } from '../load/policies';
import { noStorage, openStorage } from '../load/storage';
import type { Calls } from '../protocol';
import type { BackendInfo, ComputeOptions, LoadedModel } from '../types';
import { startGpu, startWasm } from './compute';

/** A model in this worker, and its policies. */
export interface Entry {
  readonly pipeline: Pipeline;
  readonly policies: Shelf;
}

/** How a call reports, and how it is stopped. */
export interface Job<Told> {
  readonly signal: AbortSignal;
  tell<E extends keyof Told>(event: E, value: Told[E], transfer?: Transferable[]): void;
}

/** What a worker holds. */
export interface Session {
  /** What its models run on. @throws UsageError before the first is loaded */
  running(): BackendInfo;
  load(asked: Calls['load']['asked'], job: Job<Calls['load']['told']>): Promise<LoadedModel>;
  /** A loaded model; the last one unless named. @throws UsageError where there is none */
  model(name?: string): Entry;
  unload(name?: string): void;
}

/** @param notice told what the page should know, beside the calls */
export function openSession(compute: ComputeOptions, notice: (text: string) => void): Session {
  const entries = new Map<string, Entry>();
  let backend: BackendInfo | undefined;

  async function started(): Promise<BackendInfo> {
    backend ??= await start(compute, notice);
    return backend;
  }

  return {
    running() {
      if (backend) return backend;
      throw noModel();
    },
    async load({ address, options }, { signal, tell }) {
      const running = await started();
      const storage = options.storage === false ? noStorage : await openStorage();
      const listed = options.policies ? fetchPolicies(options.policies, storage, signal) : Promise.resolve([]);
      const [parts, policies] = await Promise.all([
        loadParts(address, {
          signal,
          storage: options.storage,
          ...(options.offload && { offload: true }),
          onProgress: (done, total) => tell('progress', { done, total }),
        }),
        // What fails first is told; the other must not be an error that nobody handles.
        listed,
      ]);
      const { pipeline, vocabulary } = parts;
      const { info } = pipeline;
      const own = shelf();
      for (const named of policies) if (named.policy.data.model.hash === info.hash) own.add(named);
      entries.get(info.id)?.pipeline.dispose();
      entries.delete(info.id);
      entries.set(info.id, { pipeline, policies: own });
      return {
        name: info.id,
        hash: info.hash,
        family: info.modelClass,
        kind: info.kind === 'image' ? 'picture' : 'clip',
        ...info.size,
        fps: info.fps,
        ...info.defaults,
        parameters: info.parameters,
        vocabulary,
        prompts: info.prompts,
        policies: own.all.map(policyInfo),
        methods: contenders.map(({ name, title, summary, source }) => ({ name, title, summary, source })),
        backend: running,
      };
    },
    model(name) {
      const found = name === undefined ? [...entries.values()].at(-1) : entries.get(lastPart(name));
      if (found) return found;
      throw noModel(name);
    },
    unload(name) {
      for (const [key, { pipeline }] of entries) {
        if (name !== undefined && key !== name) continue;
        pipeline.dispose();
        entries.delete(key);
      }
    },
  };
}

function noModel(name?: string): UsageError {
  return new UsageError(name === undefined ? 'No model is loaded.' : `The model "${name}" is not loaded.`, {
    hint: "Load it first: await client.load('/models/fluent-emoji').",
  });
}

async function start(compute: ComputeOptions, notice: (text: string) => void): Promise<BackendInfo> {
  const { backend = 'auto' } = compute;
  if (backend === 'webgl' || backend === 'webgpu') {
    try {
      return await startGpu(backend);
    } catch (error) {
      notice(`${error instanceof Error ? error.message : error} WebAssembly is used in its place.`);
    }
  }
  return startWasm(compute);
}
