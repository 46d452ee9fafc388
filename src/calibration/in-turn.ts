import type { Elsewhere } from '../sampling/pipeline';

/** One after the other: jobs share one backend, and their memory should not pile up. */
export async function inTurn<T, R>(items: readonly T[], work: (item: T, index: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const [i, item] of items.entries()) results.push(await work(item, i));
  return results;
}

/**
 * Runs that do not need each other: in turn, or at once where their model is elsewhere. The results come in the order of
 * the items either way, so that what is made of them is the same to the last digit.
 * @param where the job or the pipeline that all of them run
 * @param release frees a result, where another run failed
 */
export async function across<T, R>(
  where: Elsewhere | undefined,
  items: readonly T[],
  work: (item: T, index: number) => Promise<R>,
  release: (result: R) => void = () => {},
): Promise<R[]> {
  const results: R[] = [];
  try {
    if (!where?.isElsewhere) {
      for (const [i, item] of items.entries()) results.push(await work(item, i));
      return results;
    }
    const settled = await Promise.allSettled(items.map(work));
    for (const each of settled) if (each.status === 'fulfilled') results.push(each.value);
    const failed = settled.find(each => each.status === 'rejected');
    if (failed) throw failed.reason;
    return results;
  } catch (error) {
    results.forEach(release);
    throw error;
  }
}
