import { batches } from '../../calibration/pairs';
import { InterruptedError } from '../../errors';
import type { Media } from '../../media/pixels';
import type { Pipeline } from '../../sampling/pipeline';
import { ablationRows } from './ablation';
import { runArena } from './arena';
import { beginComparison } from './begin';
import type { Comparison, ComparisonRequest } from './comparison';
import { contenderCalled, contenders } from './contenders';
import { type AnsweredCell, type AskedCell, type KeptPolicy, packPolicy, unpackPolicy } from './far';
import { memoryStore } from './memory-store';
import { differencePng, stillPng } from './pictures';
import { runReferences } from './reference-runs';
import type { Store } from './store';

/** The command that asks says where and when; here it does not matter. */
const NOWHERE = { command: '', machine: { cpu: '', threads: 1, gpus: [], memoryBytes: 0 }, node: '' };

function partOf(pipeline: Pipeline, request: ComparisonRequest): Comparison {
  const all = request.kind === 'ablation' ? ablationRows : contenders;
  const chosen = request.methods.map(name => contenderCalled(name, all));
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

/** Measures a cell of a comparison. @throws InterruptedError when it was stopped */
export async function answerCell(
  pipeline: Pipeline,
  { request, reference, facts, policies }: AskedCell,
  pixels: readonly (readonly Media[])[] | undefined,
  signal: AbortSignal,
): Promise<AnsweredCell> {
  const comparison = partOf(pipeline, request);
  comparison.facts = facts;
  // Pixels without rows are drawn again.
  if (pixels) comparison.reference = reference;
  const files: AnsweredCell['files'] = [];
  const made: KeptPolicy[] = [];
  const memory = memoryStore(comparison);
  const store: Store = {
    ...memory,
    keepPicture: async (name, media) => keep(name, stillPng(media)),
    keepDifference: async (name, uncached, media) => keep(name, await differencePng(uncached, media)),
    async keepPolicy(name, policy) {
      made.push(await packPolicy(name.replace(/\.json$/, ''), policy));
      return memory.keepPolicy(name, policy);
    },
  };
  const keep = (name: string, bytes: Uint8Array): void => {
    if (!name.startsWith('images/reference/')) files.push({ name, bytes: Buffer.from(bytes).toString('base64') });
  };
  for (const b of batches(request.evaluation, request.batch).keys()) {
    if (pixels?.[b]) await memory.keepPixels(b, pixels[b]);
  }
  const given = new Map(await Promise.all(policies.map(async kept => [kept.name, await unpackPolicy(kept)] as const)));
  const all = request.kind === 'ablation' ? ablationRows : contenders;
  await runArena(pipeline, store, {
    ...{ contenders: request.methods.map(name => contenderCalled(name, all)), given, signal },
  });
  if (signal.aborted) throw new InterruptedError();
  const { cells, refused } = comparison;
  return {
    ...{ cell: cells[0], refused: refused[0], flops: comparison.reference.flops, facts: comparison.facts, files },
    policies: made.map(({ name, ...policy }) => ({ name: `${name}.json`, ...policy })),
  };
}
