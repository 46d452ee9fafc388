import { Refusal } from '../jobs/faults';
import type { Job } from '../jobs/job';

/** Entries of a page where nothing else is asked for, and at most. */
const USUAL = 20;
const MOST = 100;

/** A page of a list, with the cursors of the interface: `limit`, `after` and `order`. */
export function page<Answer extends { readonly id: string }>(
  jobs: readonly Job[],
  query: Readonly<Record<string, string>>,
  answer: (job: Job) => Answer,
) {
  const limit = query.limit === undefined ? USUAL : Number(query.limit);
  if (!Number.isInteger(limit) || limit < 1 || limit > MOST) {
    throw new Refusal(400, 'invalid_value', `The limit must be a whole number from 1 to ${MOST}.`, { param: 'limit' });
  }
  if (query.order !== undefined && query.order !== 'asc' && query.order !== 'desc') {
    throw new Refusal(400, 'invalid_value', 'The order must be asc or desc.', { param: 'order' });
  }
  const ordered = query.order === 'asc' ? [...jobs].reverse() : jobs;
  const from = query.after === undefined ? 0 : ordered.findIndex(({ id }) => id === query.after) + 1;
  if (query.after !== undefined && from === 0) {
    throw new Refusal(400, 'invalid_value', 'There is no entry of the id that after gives.', { param: 'after' });
  }
  const data = ordered.slice(from, from + limit).map(answer);
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: from + limit < ordered.length,
  };
}
