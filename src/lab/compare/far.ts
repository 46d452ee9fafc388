/*
 * A comparison whose work is done by other machines: batches of uncached pictures, and cells. Each does its part as this
 * one would, and what comes back is put together in the order of the plan.
 */
import { z } from 'zod';
import { across } from '../../calibration/in-turn';
import { batches } from '../../calibration/pairs';
import { atMost } from '../../io/at-most';
import type { Media } from '../../media/pixels';
import { deserializePolicy, serializePolicy } from '../../policy/bytes';
import type { Policy } from '../../policy/data';
import {
  type Cell,
  type Comparison,
  type ComparisonRequest,
  cellSchema,
  comparisonRequestSchema,
  factsSchema,
  referenceSchema,
  refusalSchema,
} from './comparison';
import type { Meter } from './meter';
import { cellName, pictureName, policyName, REFERENCE } from './names';
import { type Plan, type PlannedCell, passesOf } from './plan';
import type { Store } from './store';

/** A policy as JSON holds it. */
const keptPolicySchema = z.object({ name: z.string(), json: z.string(), coefficients: z.base64().optional() });
export type KeptPolicy = z.infer<typeof keptPolicySchema>;

/** The cell that is asked for: its method and budget are the only ones of the request. */
export const askedCellSchema = z.object({
  request: comparisonRequestSchema,
  reference: referenceSchema,
  facts: factsSchema.optional(),
  /** By the names of cells. */
  policies: z.array(keptPolicySchema),
});

export const answeredCellSchema = z.object({
  cell: cellSchema.optional(),
  refused: refusalSchema.optional(),
  /** Operations of an uncached run, where they were counted. */
  flops: z.number().optional(),
  facts: factsSchema.optional(),
  /** What was calibrated, by the names of files. */
  policies: z.array(keptPolicySchema),
  files: z.array(z.object({ name: z.string(), bytes: z.base64() })),
});

export type AskedCell = z.infer<typeof askedCellSchema>;
export type AnsweredCell = z.infer<typeof answeredCellSchema>;

/** Machines that do parts of a comparison. */
export interface FarArena {
  /** The uncached runs of a request's evaluation pairs. */
  references(
    request: ComparisonRequest,
  ): Promise<{ readonly reference: Comparison['reference']; readonly media: readonly Media[] }>;
  /** @param pixels the uncached pictures, by batches; they are drawn again where none are given */
  cell(asked: AskedCell, pixels: readonly (readonly Media[])[] | undefined): Promise<AnsweredCell>;
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
  const groups = batches(request.evaluation, request.batch);
  /** Batches are kept in their order: the lists of a comparison have no holes. */
  const kept: Promise<void>[] = [];
  const all = missing.map(async (b, i): Promise<void> => {
    const found = await far.references({ ...request, evaluation: groups[b] ?? [] });
    await kept[i - 1];
    const from = b * request.batch;
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

/** Has the cells measured. */
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
  const { request } = comparison;
  const count = batches(request.evaluation, request.batch).length;
  const all: (readonly Media[])[] = [];
  for (let b = 0; b < count; b++) all.push(await store.pixels(b));
  const size = all.flat().reduce((sum, { shape }) => sum + shape.reduce((a, side) => a * side, 1), 0);
  const pixels = size <= MOST_SENT ? all : undefined;
  const oneByOne = atMost(1);
  const done = new Map<string, Promise<void>>();

  async function known(budget: number): Promise<KeptPolicy[]> {
    const named = new Map(options.given ?? []);
    for (const method of request.methods) {
      const path = policyName(method, budget);
      const kept = comparison.calibrated?.includes(path) ? await store.policy(path) : undefined;
      if (kept && !named.has(cellName(method, budget))) named.set(cellName(method, budget), kept);
    }
    return Promise.all([...named].map(([name, policy]) => packPolicy(name, policy)));
  }

  async function measure({ contender, budget, ...planned }: PlannedCell): Promise<void> {
    if (contender.after !== undefined) await done.get(cellName(contender.after, budget));
    const asked = {
      request: { ...request, methods: [contender.name], against: contender.name, budgets: [budget], policies: [] },
      ...{ reference: comparison.reference, facts: comparison.facts, policies: await known(budget) },
    };
    const answer = await far.cell(asked, pixels);
    await oneByOne(() => take(answer));
    counter.add(passesOf(planned.preparation) + passesOf(planned.measuring) + passesOf(planned.timing));
  }

  async function take({ cell, refused, flops, facts, policies, files }: AnsweredCell): Promise<void> {
    comparison.facts ??= facts;
    comparison.reference.flops ??= flops;
    for (const policy of policies) {
      const { calibrated = [] } = comparison;
      if (calibrated.includes(policy.name)) continue;
      // Noted first, so that the file is known as the comparison's however the run ends.
      comparison.calibrated = [...calibrated, policy.name];
      await store.save();
      await store.keepPolicy(policy.name, await unpackPolicy(policy));
    }
    for (const { name, bytes } of files) await store.keepFile(name, Buffer.from(bytes, 'base64'));
    if (refused) comparison.refused.push(refused);
    if (cell) {
      comparison.cells.push(cell);
      options.onCell?.(cell);
    }
    await store.save();
  }

  // Those that others wait for are asked for first.
  const first = plan.cells.filter(({ contender }) => contender.after === undefined);
  const later = plan.cells.filter(({ contender }) => contender.after !== undefined);
  await across(EVERYWHERE, [...first, ...later], cell => {
    const work = measure(cell);
    done.set(cellName(cell.contender.name, cell.budget), work);
    return work;
  });
  const place = ({ method, budget }: { readonly method: string; readonly budget: number }): number =>
    request.budgets.indexOf(budget) * request.methods.length + request.methods.indexOf(method);
  for (const list of [comparison.cells, comparison.refused]) list.sort((a, b) => place(a) - place(b));
}
