/*
 * A comparison whose work is done by other machines: batches of uncached pictures, and cells. Each does its part as this
 * one would, and what comes back is put together in the order of the plan.
 */
import { z } from 'zod';
import { factsOf, type Sight, type Sightings, sights } from '../../calibration/baselines';
import { across } from '../../calibration/in-turn';
import { pairsRequest } from '../../calibration/jobs';
import { atMost } from '../../io/at-most';
import type { Media } from '../../media/pixels';
import { deserializePolicy, serializePolicy } from '../../policy/bytes';
import type { Policy } from '../../policy/data';
import type { Pair } from '../../policy/pair';
import type { BatchRequest } from '../../sampling/pipeline';
import {
  type Cell,
  type Comparison,
  type ComparisonRequest,
  cellSchema,
  comparisonRequestSchema,
  factsSchema,
} from './comparison';
import { factsToKeep } from './facts';
import type { Meter } from './meter';
import { cellName, pictureName, REFERENCE } from './names';
import { type Plan, type PlannedCell, passesOf } from './plan';
import { type PlacedBatch, placedBatches } from './reference-runs';
import type { Store } from './store';

/** A policy as JSON holds it. */
const keptPolicySchema = z.object({ name: z.string(), json: z.string(), coefficients: z.base64().optional() });
export type KeptPolicy = z.infer<typeof keptPolicySchema>;

const choiceSchema = z.object({ value: z.number(), spent: z.number() });

/** A part of a cell: its method and budget are the only ones of the request, and its pairs those of the part. */
export const askedPartSchema = z.object({
  request: comparisonRequestSchema,
  part: z.discriminatedUnion('kind', [
    /** Calibrates the method, or chooses its setting. */
    z.object({ kind: z.literal('prepare') }),
    /** Measures one batch of pairs. @param from which of all pairs the first is */
    z.object({ kind: z.literal('measure'), from: z.int().nonnegative() }),
    /** Measures time. @param counts whether the operations of an uncached run are counted too */
    z.object({ kind: z.literal('time'), counts: z.boolean() }),
  ]),
  facts: factsSchema.optional(),
  choice: choiceSchema.optional(),
  /** By the names of cells. */
  policies: z.array(keptPolicySchema),
});

export const answeredPartSchema = z.object({
  /** Why the method cannot do this budget. */
  refused: z.string().optional(),
  prepared: cellSchema
    .pick({ setting: true, preparation: true })
    .extend({ choice: choiceSchema.optional() })
    .optional(),
  measured: cellSchema.pick({ pairs: true, sigmas: true, cacheBytes: true }).optional(),
  timed: cellSchema.pick({ timing: true, flops: true }).optional(),
  /** Operations of an uncached run, where they were counted. */
  uncached: z.number().optional(),
  /** What was calibrated, by the names of files. */
  policies: z.array(keptPolicySchema),
  files: z.array(z.object({ name: z.string(), bytes: z.base64() })),
});

export type AskedPart = z.infer<typeof askedPartSchema>;
export type AnsweredPart = z.infer<typeof answeredPartSchema>;

/** Machines that do parts of a comparison. */
export interface FarArena {
  /** The uncached runs of a request's evaluation pairs. */
  references(
    request: ComparisonRequest,
  ): Promise<{ readonly reference: Comparison['reference']; readonly media: readonly Media[] }>;
  /** Runs a request uncached, and says what it shows. */
  sight(request: BatchRequest, wanted: readonly Sight[]): Promise<Sightings>;
  /** @param pixels the uncached pictures of the pairs to be measured; they are drawn again where none are given */
  part(asked: AskedPart, pixels: readonly Media[] | undefined): Promise<AnsweredPart>;
}

export async function packPolicy(name: string, policy: Policy): Promise<KeptPolicy> {
  const { json, coefficients } = await serializePolicy(policy, `${name}.json`);
  return { name, json, ...(coefficients && { coefficients: Buffer.from(coefficients).toString('base64') }) };
}

export function unpackPolicy({ name, json, coefficients = '' }: KeptPolicy): Promise<Policy> {
  return deserializePolicy(
    json,
    async file => ({ name: file, bytes: new Uint8Array(Buffer.from(coefficients, 'base64')) }),
    name,
  );
}

const EVERYWHERE = { isElsewhere: true } as const;

/** Has the missing uncached pictures drawn. */
export async function farReferences(store: Store, far: FarArena, missing: readonly number[]): Promise<void> {
  const { request, reference } = store.comparison;
  const placed = placedBatches(request.evaluation, request.batch);
  /** Batches are kept in their order: the lists of a comparison have no holes. */
  const kept: Promise<void>[] = [];
  const all = missing.map(async (b, i): Promise<void> => {
    const { group, from } = placed[b] as PlacedBatch;
    const found = await far.references({ ...request, evaluation: [...group] });
    await kept[i - 1];
    reference.sigmas = found.reference.sigmas;
    for (const [row, media] of found.media.entries()) {
      reference.changes[from + row] = found.reference.changes[row] ?? [];
      reference.seconds[from + row] = found.reference.seconds[row] ?? 0;
      await store.keepPicture(pictureName(REFERENCE, from + row), media);
    }
    await store.keepPixels(b, found.media);
    await store.save();
  });
  kept.push(...all);
  await across(EVERYWHERE, all, work => work);
}

/** Pixels beyond so many are drawn again by each machine, rather than sent to it. */
const MOST_SENT = 8e6;

/**
 * Has the cells measured: each is prepared by one machine, and then measured batch by batch by any of them. Parts that
 * were asked for first are done first, so that the small ones are left for the end.
 */
export async function farCells(
  store: Store,
  far: FarArena,
  plan: Plan,
  counter: Meter,
  options: {
    readonly given?: ReadonlyMap<string, Policy> | undefined;
    readonly onCell?: ((cell: Cell) => void) | undefined;
  },
): Promise<void> {
  const { comparison } = store;
  const { request, reference } = comparison;
  const groups = placedBatches(request.evaluation, request.batch);
  const all: (readonly Media[])[] = [];
  for (const b of groups.keys()) all.push(await store.pixels(b));
  const size = all.flat().reduce((sum, { shape }) => sum + shape.reduce((a, side) => a * side, 1), 0);
  const oneByOne = atMost(1);
  const done = new Map<string, Promise<void>>();
  const needsFacts = plan.cells.some(({ contender }) => contender.needsFacts);
  const facts = needsFacts && !comparison.facts ? farFacts(store, far) : undefined;

  /** What was calibrated at a budget, or given for it. */
  async function known(budget: number): Promise<KeptPolicy[]> {
    const named = new Map(options.given ?? []);
    for (const path of comparison.calibrated ?? []) {
      const [, name] = /^policies\/(.+)\.json$/.exec(path) ?? [];
      if (name === undefined || named.has(name) || !name.endsWith(`-${budget}`)) continue;
      const kept = await store.policy(path);
      if (kept) named.set(name, kept);
    }
    return Promise.all([...named].map(([name, policy]) => packPolicy(name, policy)));
  }

  async function measure({ contender, budget, ...planned }: PlannedCell): Promise<void> {
    if (contender.after !== undefined) await done.get(cellName(contender.after, budget));
    if (contender.needsFacts) await facts;
    const { name } = contender;
    const own = { ...request, methods: [name], against: name, budgets: [budget], policies: [] };
    const asking =
      (with_: Pick<AskedPart, 'policies' | 'choice'>) =>
      (part: AskedPart['part'], evaluation: readonly Pair[], pixels?: readonly Media[]): Promise<AnsweredPart> => {
        const facts = contender.needsFacts && { facts: comparison.facts };
        return far.part({ part, request: { ...own, evaluation: [...evaluation] }, ...facts, ...with_ }, pixels);
      };
    const ready = await asking({ policies: await known(budget) })({ kind: 'prepare' }, groups[0]?.group ?? []);
    await oneByOne(() => keepPolicies(ready));
    counter.add(passesOf(planned.preparation));
    const choice = ready.prepared?.choice;
    const ask = asking({ policies: await known(budget), ...(choice && { choice }) });
    const measureOne = async ({ group, from }: PlacedBatch, b: number): Promise<AnsweredPart> => {
      const answer = await ask({ kind: 'measure', from }, group, size <= MOST_SENT ? all[b] : undefined);
      counter.add((passesOf(planned.measuring) * group.length) / request.evaluation.length);
      return answer;
    };
    const timeAll = async (): Promise<AnsweredPart[]> => {
      if (request.timed === 0) return [];
      const part = { kind: 'time' as const, counts: reference.flops === undefined };
      const answer = await ask(part, request.evaluation.slice(0, request.timed));
      counter.add(passesOf(planned.timing));
      return [answer];
    };
    const [measured, timed] = ready.refused
      ? [[], []]
      : await Promise.all([across(EVERYWHERE, groups, measureOne), timeAll()]);
    await oneByOne(() => take({ method: name, budget }, [ready, ...measured, ...timed]));
  }

  async function keepPolicies({ policies }: AnsweredPart): Promise<void> {
    for (const policy of policies) {
      const { calibrated = [] } = comparison;
      if (calibrated.includes(policy.name)) continue;
      // Noted first, so that the file is known as the comparison's however the run ends.
      comparison.calibrated = [...calibrated, policy.name];
      await store.save();
      await store.keepPolicy(policy.name, await unpackPolicy(policy));
    }
  }

  /** Puts a cell together, from the answers in the order in which one machine would have done them. */
  async function take(named: Pick<Cell, 'method' | 'budget'>, answers: readonly AnsweredPart[]): Promise<void> {
    const end = answers.findIndex(({ refused }) => refused !== undefined);
    const valid = end < 0 ? answers : answers.slice(0, end);
    for (const { name, bytes } of valid.flatMap(({ files }) => files)) {
      await store.keepFile(name, Buffer.from(bytes, 'base64'));
    }
    reference.flops ??= valid.find(({ uncached }) => uncached !== undefined)?.uncached;
    const refused = answers[end]?.refused;
    if (refused === undefined) {
      const { setting, preparation } = answers[0]?.prepared ?? { preparation: 0 };
      const measured = answers.flatMap(answer => answer.measured ?? []);
      const cell: Cell = {
        ...named,
        ...(setting !== undefined && { setting }),
        preparation,
        sigmas: measured.at(-1)?.sigmas ?? [],
        pairs: measured.flatMap(({ pairs }) => pairs),
        cacheBytes: Math.max(0, ...measured.map(({ cacheBytes }) => cacheBytes)),
        ...answers.find(({ timed }) => timed)?.timed,
      };
      comparison.cells.push(cell);
      options.onCell?.(cell);
    } else comparison.refused.push({ ...named, reason: refused });
    await store.save();
  }

  // Those that others wait for are asked for first.
  const first = plan.cells.filter(({ contender }) => contender.after === undefined);
  const later = plan.cells.filter(({ contender }) => contender.after !== undefined);
  const cells = across(EVERYWHERE, [...first, ...later], cell => {
    const work = measure(cell);
    done.set(cellName(cell.contender.name, cell.budget), work);
    return work;
  });
  await Promise.all([facts, cells]);
  const place = ({ method, budget }: { readonly method: string; readonly budget: number }): number =>
    request.budgets.indexOf(budget) * request.methods.length + request.methods.indexOf(method);
  for (const list of [comparison.cells, comparison.refused]) list.sort((a, b) => place(a) - place(b));
}

/** Has the facts measured that some methods need. */
async function farFacts(store: Store, far: FarArena): Promise<void> {
  const { comparison } = store;
  const { request } = comparison;
  const seen = await across(EVERYWHERE, request.calibration, pair => far.sight(pairsRequest([pair], request), sights));
  comparison.facts = factsToKeep(factsOf(seen), request);
  await store.save();
}
