import { UsageError } from '../errors';
import type { FullRequest } from './request';

/** What may differ among the pictures of one batch. */
type OfRow = 'prompt' | 'seed' | 'scale';

/** What all pictures of a batch have in common. */
export function settingsOf({ prompt: _, seed: __, scale: ___, ...settings }: FullRequest): Omit<FullRequest, OfRow> {
  return settings;
}

/** @throws UsageError naming the field by which requests differ that are to be one batch */
export function requireAlike([first, ...others]: readonly FullRequest[]): void {
  if (!first) throw new UsageError('A batch has no requests.', { hint: 'Give one or more.' });
  const settings = settingsOf(first);
  for (const other of others.map(settingsOf)) {
    const fields = new Set([...Object.keys(settings), ...Object.keys(other)]) as Set<keyof typeof settings>;
    const field = [...fields].find(name => JSON.stringify(settings[name]) !== JSON.stringify(other[name]));
    if (field === undefined) continue;
    throw new UsageError(`The requests of a batch differ in ${field}.`, {
      hint: 'Only prompt, seed and scale may differ; draw the others on their own.',
    });
  }
}
