import type { Context } from 'hono';
import type { Env } from './context';

/** Says of an answer whose head goes out first that it ends later. @returns what is called at its end */
export function endsLater(c: Context<Env>): () => void {
  let end = (): void => {};
  c.set(
    'ended',
    new Promise<void>(resolve => {
      end = resolve;
    }),
  );
  return end;
}
