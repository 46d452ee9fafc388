import { UsageError } from '../../errors';
import { lastPart } from '../../io/folder';
import { contenders } from '../../lab/compare/contenders';
import type { Pipeline, PipelineInfo } from '../../sampling/pipeline';
import { type LoadedParts, loadParts } from '../load/load-model';
import { fetchLoras } from '../load/loras';
import { fetchPolicies, type NamedPolicy, policyInfo, type Shelf, shelf } from '../load/policies';
import { noStorage, openStorage } from '../load/storage';
import type { Calls } from '../protocol';
import type { BackendInfo, ComputeOptions, LoadedModel } from '../types';
import { promisingGpu, startGpu, startWasm, threadsFor } from './compute';
import { isGpuFault, reasonOf } from './faults';
import { resized } from './picture';
import { requireFitsModel } from './policy-model';
import { objectionTo, tryOut } from './trial';

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
  load(asked: Calls['load']['asked'], job: Job<Calls['load']['told']>): Promise<LoadedModel>;
  /** A loaded model; the last one unless named. @throws UsageError where there is none */
  model(name?: string): Entry;
  /**
   * Works with a model. Where the GPU fails meanwhile, all models are moved to WebAssembly, the page is told, and the
   * work is done again. Whatever of the model is read meanwhile ends with the signal.
   */
  run<T>(
    name: string | undefined,
    signal: AbortSignal,
    work: (entry: Entry, backend: BackendInfo) => Promise<T>,
  ): Promise<T>;
  unload(name?: string): void;
}

interface Held extends Entry {
  /** Loads the pipeline once more, into the backend that is active then. */
  readonly reload: () => Promise<Pipeline>;
}

/** @param notice told what the page should know, beside the calls */
export function openSession(compute: ComputeOptions, notice: (text: string) => void): Session {
  const { backend: asked = 'auto' } = compute;
  const entries = new Map<string, Held>();
  let backend: BackendInfo | undefined;
  let isSettled = false;
  /** Size of the largest model so far. */
  let largest = 0;
  /** That of the call which is under way. */
  let current: AbortSignal | undefined;

  /** Before the first weights are read. */
  async function start(modelBytes: number): Promise<void> {
    largest = Math.max(largest, modelBytes);
    if (backend) {
      tellOfThreads(backend, threadsFor(compute, modelBytes));
      return;
    }
    if (asked === 'webgl' || asked === 'webgpu') {
      try {
        backend = await startGpu(asked);
        return;
      } catch (error) {
        notice(`${reasonOf(error)} WebAssembly is used in its place.`);
      }
    }
    backend = await startWasm(compute, modelBytes);
  }

  /** WebAssembly is started once, and its threads with it. */
  function tellOfThreads({ kind, threads }: BackendInfo, wanted: number): void {
    if (kind !== 'wasm' || wanted <= threads) return;
    const own = threads === 1 ? '1 thread' : `${threads} threads`;
    notice(
      `WebAssembly runs on ${own} since the first model was loaded, and this one would take ${wanted}: load it first, or set threads.`,
    );
  }

  /** Moves to a GPU where that draws the first model faster, and the same. */
  async function settle(parts: LoadedParts, signal: AbortSignal): Promise<Pipeline> {
    if (isSettled || asked !== 'auto') return parts.pipeline;
    const kind = await promisingGpu();
    isSettled = true;
    if (!kind) return parts.pipeline;
    let onGpu: Pipeline | undefined;
    let objection: string | undefined;
    let isOnGpu = false;
    try {
      const usual = await tryOut(parts.pipeline, signal);
      isOnGpu = true;
      const started = await startGpu(kind);
      onGpu = await parts.reload();
      objection = objectionTo(await tryOut(onGpu, signal), usual);
      if (objection === undefined) {
        backend = started;
        parts.pipeline.dispose();
        return onGpu;
      }
    } catch (error) {
      if (!isOnGpu || !isGpuFault(error)) {
        // Nothing was found out: the next model is tried again.
        isSettled = false;
        letGo(onGpu);
        backend = await startWasm(compute, 0);
        letGo(parts.pipeline);
        throw error;
      }
      objection = reasonOf(error);
    }
    letGo(onGpu);
    backend = await startWasm(compute, 0);
    notice(`${kind} is not used: ${objection}.`);
    return parts.pipeline;
  }

  async function fallBack(error: unknown): Promise<void> {
    const { kind } = running();
    notice(`${kind} failed: ${reasonOf(error)} WebAssembly is used from here on.`);
    backend = await startWasm(compute, largest);
    for (const [name, { pipeline, policies, reload }] of entries) {
      letGo(pipeline);
      entries.set(name, { pipeline: await reload(), policies, reload });
    }
  }

  /** A place for the policies that were loaded with a model, but for those of others. */
  function shelved(policies: readonly NamedPolicy[], info: PipelineInfo): Shelf {
    const own = shelf();
    const others: string[] = [];
    let why = '';
    for (const named of policies) {
      try {
        requireFitsModel(named.policy, info);
        own.add(named);
      } catch (error) {
        others.push(named.name);
        why = reasonOf(error);
      }
    }
    if (others.length > 0) notice(`Left out: ${others.join(', ')}. ${why}`);
    return own;
  }

  function running(): BackendInfo {
    if (backend) return backend;
    throw noModel();
  }

  function model(name?: string): Entry {
    const found = name === undefined ? [...entries.values()].at(-1) : entries.get(lastPart(name));
    if (found) return found;
    throw noModel(name);
  }

  return {
    model,
    async load({ address, options }, { signal, tell }) {
      current = signal;
      const storage = options.storage === false ? noStorage : await openStorage();
      const listed = options.policies ? fetchPolicies(options.policies, storage, signal) : Promise.resolve([]);
      // Told below; the model may take longer to come.
      listed.catch(() => {});
      const loras = options.loras && (await fetchLoras(options.loras, signal));
      const parts = await loadParts(address, {
        signal,
        resize: resized,
        ...(loras && { loras }),
        storage: options.storage,
        ...(options.offload && { offload: true }),
        onProgress: (done, total) => tell('progress', { done, total }),
        before: start,
        later: () => current,
      });
      const policies = await listed.catch(error => {
        parts.pipeline.dispose();
        throw error;
      });
      const pipeline = await settle(parts, signal);
      const { info } = pipeline;
      const own = shelved(policies, info);
      entries.get(info.id)?.pipeline.dispose();
      // Last in order: it is the one that is meant where none is named.
      entries.delete(info.id);
      entries.set(info.id, { pipeline, policies: own, reload: parts.reload });
      return {
        name: info.id,
        hash: info.hash,
        family: info.modelClass,
        kind: info.kind === 'image' ? 'picture' : 'clip',
        ...info.size,
        fps: info.fps,
        ...info.defaults,
        parameters: info.parameters,
        vocabulary: parts.vocabulary,
        prompts: info.prompts,
        policies: own.all.map(policyInfo),
        methods: contenders.map(({ name, title, summary, source }) => ({ name, title, summary, source })),
        backend: running(),
      };
    },
    async run(name, signal, work) {
      current = signal;
      const entry = model(name);
      try {
        return await work(entry, running());
      } catch (error) {
        if (running().kind === 'wasm' || !isGpuFault(error)) throw error;
        await fallBack(error);
        return work(model(name), running());
      }
    },
    unload(name) {
      for (const [key, { pipeline }] of entries) {
        if (name !== undefined && key !== lastPart(name)) continue;
        pipeline.dispose();
        entries.delete(key);
      }
    },
  };
}

/** A lost GPU may refuse even to forget. */
function letGo(pipeline: Pipeline | undefined): void {
  try {
    pipeline?.dispose();
  } catch {
    // Its memory is gone already.
  }
}

function noModel(name?: string): UsageError {
  return new UsageError(name === undefined ? 'No model is loaded.' : `The model "${name}" is not loaded.`, {
    hint: "Load it first: await client.load('/models/fluent-emoji').",
  });
}
