import { type Bound, boundOf } from '../cache/bound';
import { computedBy, type Guarantee } from '../policy/budget';
import type { Policy } from '../policy/data';
import type { StepRecord } from '../sampling/step-record';
import type { Receipt } from './receipt';
import type { FullRequest } from './request';

/** What of a drawing says whether it is sure enough. */
interface Try {
  readonly policy: Policy | undefined;
  readonly bound?: Bound | null | undefined;
  readonly receipt: Receipt;
  readonly steps: readonly StepRecord[];
  readonly forwards: number;
  forget(): Promise<void>;
}

/**
 * Draws with the fewest forward passes whose bound holds, and what its own bound leaves doubtful again with more, at last
 * with all.
 * @param requests at least one; all of them alike
 * @param drawRows draws some of the requests as one batch, by the policy that their guarantee asks for; told whether it is for
 *   the first time
 * @returns what was drawn, with the bound of the confidence that was asked for
 */
export async function drawGuaranteed<T extends Try>(
  requests: readonly FullRequest[],
  guarantee: Guarantee,
  drawRows: (rows: readonly FullRequest[], isFirst: boolean) => Promise<T[]>,
): Promise<(T & { readonly discarded?: number })[]> {
  const done: (T & { readonly discarded?: number })[] = [];
  let open = requests.map((_, row) => row);
  let above = 0;
  let discarded = 0;
  while (open.length > 0) {
    const asked = { ...guarantee, above };
    const drawn = await drawRows(
      open.map(row => ({ ...(requests[row] as FullRequest), guarantee: asked })),
      above === 0,
    );
    const bounds = drawn.map((one, i) => boundAt(one, i, guarantee));
    // One of which every step was computed keeps all.
    const isSure = ({ policy }: T, i: number): boolean => !policy || (bounds[i]?.psnr ?? -1) >= guarantee.psnr;
    const doubtful = new Set(drawn.flatMap((one, i) => (isSure(one, i) ? [] : [i])));
    for (const [i, one] of drawn.entries()) {
      if (doubtful.has(i)) await one.forget();
      else done[open[i] as number] = { ...told(one, bounds[i]), ...(discarded > 0 && { discarded }) };
    }
    const [first] = drawn;
    if (!first?.policy) break;
    // What is unlike all that one bound was measured on is so for the others.
    above = drawn.some(({ bound }, i) => doubtful.has(i) && bound)
      ? computedBy(first.policy)
      : Number.POSITIVE_INFINITY;
    discarded += first.forwards;
    open = open.filter((_, i) => doubtful.has(i));
  }
  return done;
}

/** What a picture keeps at least with the confidence that is asked for; nothing where nobody knows. */
function boundAt({ policy, bound, steps }: Try, row: number, { confidence }: Guarantee): Bound | undefined {
  if (!policy?.data.bound || !bound) return undefined;
  return boundOf(policy.data.bound, step => steps[step]?.signals?.[row], confidence);
}

/** The same, with this bound told. */
function told<T extends Try>(one: T, bound: Bound | undefined): T {
  return bound ? { ...one, bound, receipt: { ...one.receipt, bound } } : one;
}
