import { InterruptedError } from '../../errors';
import type { Media } from '../../media/pixels';
import type { Lpips } from '../../metrics/lpips';
import type { Pipeline } from '../../sampling/pipeline';
import { ablationRows } from './ablation';
import { isRefusal, uncachedFlops } from './arena';
import { beginComparison } from './begin';
import type { Comparison, ComparisonRequest } from './comparison';
import type { Contender } from './contender';
import { contenderCalled, contenders } from './contenders';
import { type AnsweredPart, type AskedPart, type KeptPolicy, packPolicy, unpackPolicy } from './far';
import { measureCell } from './measure-cell';
import { memoryStore } from './memory-store';
import { cellName } from './names';
import { openBench } from './open-bench';
import { differencePng, stillPng } from './pictures';
import { type PairRuns, referenceReader, runReferences } from './reference-runs';
import type { Store } from './store';
import { timeCell } from './time-cell';

/** The command that asks says where and when; here it does not matter. */
const NOWHERE = { command: '', machine: { cpu: '', threads: 1, gpus: [], memoryBytes: 0 }, node: '' };

const contendersOf = ({ kind }: ComparisonRequest): readonly Contender[] =>
  kind === 'ablation' ? ablationRows : contenders;

function partOf(pipeline: Pipeline, request: ComparisonRequest): Comparison {
  const chosen = request.methods.map(name => contenderCalled(name, contendersOf(request)));
  const engine = { kind: request.backend, label: '' };
  return beginComparison(pipeline.info, chosen, request, { ...NOWHERE, engine });
}

/** Draws the uncached pictures of a part of a comparison. */
export async function answerReferences(
  pipeline: Pipeline,
  request: ComparisonRequest,
  signal: AbortSignal,
): Promise<{ readonly reference: Comparison['reference']; readonly media: readonly Media[] }> {
  const { evaluation, steps, guidance } = request;
  const store = memoryStore(partOf(pipeline, request));
  const runs = { pipeline, evaluation, steps, guidance, batch: evaluation.length, signal, onPasses() {} };
  await runReferences(store, runs, [0]);
  return { reference: store.comparison.reference, media: await store.pixels(0) };
}

/** Does a part of a cell of a comparison. @throws InterruptedError when it was stopped */
export async function answerPart(
  pipeline: Pipeline,
  { request, part, facts, choice, policies }: AskedPart,
  {
    pixels,
    lpips,
    signal,
  }: { readonly pixels?: readonly Media[]; readonly lpips?: Lpips; readonly signal: AbortSignal },
): Promise<AnsweredPart> {
  const comparison = partOf(pipeline, request);
  comparison.facts = facts;
  const { store, made, files } = keepingStore(comparison);
  const { evaluation, steps, guidance, batch, timed } = request;
  const [method, computed] = [request.methods[0] as string, request.budgets[0] as number];
  const given = new Map(await Promise.all(policies.map(async kept => [kept.name, await unpackPolicy(kept)] as const)));
  const choices = new Map(choice ? [[cellName(method, computed), choice]] : []);
  const onPasses = (): void => {};
  const runs: PairRuns = { pipeline, evaluation, steps, guidance, batch, signal, onPasses };
  const contender = contenderCalled(method, contendersOf(request));
  const { bench, release } = openBench(pipeline, store, { given, choices, signal, onPasses });

  async function answer(): Promise<Omit<AnsweredPart, 'policies' | 'files'>> {
    const { policy, setting, passes, choice: made } = await contender.prepare({ steps, computed }, bench);
    if (part.kind === 'prepare') {
      return {
        prepared: { preparation: passes, ...(setting !== undefined && { setting }), ...(made && { choice: made }) },
      };
    }
    if (part.kind === 'time') {
      const timing = await timeCell(runs, policy, timed);
      return { timed: timing, ...(part.counts && { uncached: await uncachedFlops(runs) }) };
    }
    const { from } = part;
    if (pixels) await store.keepPixels(0, pixels);
    else await runReferences(store, { ...runs, batch: evaluation.length }, [0]);
    const read = referenceReader(store, { evaluation, batch: evaluation.length });
    const measuring = { policy, dynamic: contender.dynamic, name: cellName(method, computed), from };
    const reference = (index: number): Promise<Media> => read(index - from);
    return { measured: await measureCell(store, runs, { ...measuring, reference, ...(lpips && { lpips }) }) };
  }

  try {
    const done = await answer().catch(error => {
      if (isRefusal(error)) return { refused: error.message };
      throw error;
    });
    if (signal.aborted) throw new InterruptedError();
    return { ...done, files, policies: made.map(({ name, ...policy }) => ({ name: `${name}.json`, ...policy })) };
  } finally {
    release();
  }
}

/** A store in memory, and what was put into it that whoever asks has to keep. */
function keepingStore(comparison: Comparison) {
  const files: AnsweredPart['files'] = [];
  const made: KeptPolicy[] = [];
  const memory = memoryStore(comparison);
  const keep = (name: string, bytes: Uint8Array): void => {
    if (!name.startsWith('images/reference/')) files.push({ name, bytes: Buffer.from(bytes).toString('base64') });
  };
  const store: Store = {
    ...memory,
    keepPicture: async (name, media) => keep(name, stillPng(media)),
    keepDifference: async (name, uncached, media) => keep(name, await differencePng(uncached, media)),
    async keepPolicy(name, policy) {
      made.push(await packPolicy(name.replace(/\.json$/, ''), policy));
      return memory.keepPolicy(name, policy);
    },
  };
  return { store, files, made };
}
