import type { ModelState } from '../state/model';
import { reload } from '../state/model';
import { Failure } from './failure';
import { megabytes } from './format';

/** How far a model's loading has come, or why it failed. */
export function Loading({ of }: { readonly of: ModelState }) {
  if (of.state === 'ready') return null;
  if (of.state === 'failed') return <Failure text={of.error} hint={of.hint} onRetry={reload} />;
  const { done, total } = of;
  return (
    <div class="loading">
      <progress aria-label="Loading the model" value={total > 0 ? done / total : undefined} max={1} />
      <p>
        {total > 0 ? `Loading the model, ${megabytes(done)} of ${megabytes(total)} MB` : 'Loading the model'}
        <span>, once: the browser keeps it</span>
      </p>
    </div>
  );
}
