/**
 * Where the time of a whole picture of the embedded model goes, prompt to pixels, with its shipped policy: what is a
 * product and everything that is none, in the median of some pictures. Times are of the calls into the backend, as TensorFlow.js
 * waits for each; what lies between them is JavaScript.
 *
 *   node bench/run.cjs bench/profile.ts [--backend wasm] [--threads 1] [--runs 7] [--patience SECONDS] [--json]
 */
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { draw } from '../src/draw/draw';
import { selectBackend } from '../src/engine/select';
import type { BackendRequest } from '../src/engine/types';
import { median } from '../src/metrics/statistics';
import type { Task } from '../src/nn/wasm/run';
import { loadModel } from '../src/pipelines/load';
import { policiesOnDisk } from '../src/policy/on-disk';
import type { PolicySource } from '../src/policy/source';
import { markdown } from './measure/readme';
import { inTurns } from './measure/turns';

/** One kind of work in a picture. */
export interface Kind {
  readonly kind: string;
  readonly calls: number;
  readonly seconds: number;
  readonly share: number;
}
export interface Profile {
  readonly label: string;
  readonly seconds: number;
  readonly kinds: readonly Kind[];
  /** Whether others used the machine meanwhile. */
  readonly busy: boolean;
}

const { values: given } = parseArgs({
  options: {
    backend: { type: 'string', default: 'wasm' },
    threads: { type: 'string', default: '1' },
    runs: { type: 'string', default: '7' },
    patience: { type: 'string', default: '60' },
    json: { type: 'boolean', default: false },
  },
});

/** Pictures before the code is compiled as well as it will be. */
const WARM = 3;
/** Kinds with less than this share are one row. */
const SMALL = 0.004;

type Method = (...given: never[]) => unknown;

/** Time by kind of work. What is called inside a call counts for itself. */
class Clock {
  readonly spent = new Map<string, { calls: number; seconds: number }>();
  private inner = 0;

  /** Makes calls of a method count as what `kind` says of their arguments. */
  watch(owner: object, name: string, kind: (...args: never[]) => string): void {
    const methods = owner as Record<string, Method | undefined>;
    const method = methods[name];
    if (!method) return;
    methods[name] = (...args: never[]) => {
      const before = this.inner;
      this.inner = 0;
      const started = performance.now();
      try {
        return method.apply(owner, args);
      } finally {
        const took = (performance.now() - started) / 1000;
        this.note(kind(...args), took - this.inner);
        this.inner = before + took;
      }
    };
  }

  note(kind: string, seconds: number): void {
    const sum = this.spent.get(kind) ?? { calls: 0, seconds: 0 };
    this.spent.set(kind, { calls: sum.calls + 1, seconds: sum.seconds + seconds });
  }
}

/** Names of operations that multiply matrices, whoever's they are. */
const isProduct = (name: string): boolean => /matmul|conv\dd|^product$/i.test(name);

function watchBackend(clock: Clock): void {
  const backend = tf.backend();
  const product = (name: string): string => (isProduct(name) ? `products (${name})` : name);
  if (tf.getBackend() === 'tensorflow') {
    // The addon's own object cannot be changed.
    const given = backend as unknown as { binding: { readonly executeOp: Method } };
    const { binding } = given;
    const watched = { executeOp: binding.executeOp };
    clock.watch(watched, 'executeOp', (name: string) => product(name));
    given.binding = Object.create(binding, Object.getOwnPropertyDescriptors(watched));
  } else {
    clock.watch(tf.engine(), 'runKernel', (name: string, _: unknown, attributes: { readonly task?: Task }) => {
      const own = attributes?.task?.call(() => 0, 0)[0];
      return own ? (own === 'attend' ? 'attention' : product(own)) : product(name);
    });
  }
  clock.watch(backend, 'write', () => 'values into the backend');
  for (const method of ['read', 'readSync']) clock.watch(backend, method, () => 'values out of the backend');
  clock.watch(backend, 'disposeData', () => 'freeing tensors');
}

async function main(): Promise<void> {
  const threads = Number(given.threads);
  const { label } = await selectBackend(given.backend as BackendRequest, { threads });
  const model = await loadModel('fluent-emoji');
  const clock = new Clock();
  const policies: PolicySource = {
    ...policiesOnDisk,
    async fitting(use) {
      const started = performance.now();
      const found = await policiesOnDisk.fitting(use);
      clock.note('finding the policy', (performance.now() - started) / 1000);
      return found;
    },
  };
  const once = () => draw({ prompt: 'red heart', seed: 1 }, { model, policies });
  for (let run = 0; run < WARM; run++) await once();
  watchBackend(clock);
  const runs: { readonly whole: number; readonly spent: Map<string, { calls: number; seconds: number }> }[] = [];
  const picture = async (): Promise<number> => {
    clock.spent.clear();
    const started = performance.now();
    await once();
    const whole = (performance.now() - started) / 1000;
    runs.push({ whole, spent: new Map(clock.spent) });
    return whole;
  };
  const { busy } = await inTurns([picture], { runs: Number(given.runs), warm: 0, patience: Number(given.patience) });
  const seconds = median(runs.map(({ whole }) => whole));
  const all = [...new Set(runs.flatMap(({ spent }) => [...spent.keys()]))].map(kind => ({
    kind,
    calls: runs[0]!.spent.get(kind)?.calls ?? 0,
    seconds: median(runs.map(({ spent }) => spent.get(kind)?.seconds ?? 0)),
  }));
  const small = all.filter(kind => kind.seconds < SMALL * seconds);
  const sum = (of: readonly { readonly seconds: number }[]): number =>
    of.reduce((total, each) => total + each.seconds, 0);
  const kinds = [
    ...all.filter(kind => !small.includes(kind)).sort((a, b) => b.seconds - a.seconds),
    {
      kind: `${small.length} others`,
      calls: small.reduce((total, { calls }) => total + calls, 0),
      seconds: sum(small),
    },
    { kind: 'JavaScript between them', calls: 1, seconds: Math.max(0, seconds - sum(all)) },
  ].map(each => ({ ...each, share: each.seconds / seconds }));
  const profile: Profile = { label, seconds, kinds, busy };
  if (given.json) return console.log(JSON.stringify(profile));
  console.log(`${label}: a picture in ${seconds.toFixed(3)} s${busy ? ', busy' : ''}`);
  const rows = kinds.map(k => [
    k.kind,
    `${k.calls}`,
    `${(1000 * k.seconds).toFixed(1)} ms`,
    `${(100 * k.share).toFixed(1)} %`,
  ]);
  console.log(markdown(['what', 'calls', 'time', 'share'], rows));
}

main().catch(error => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
