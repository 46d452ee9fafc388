import { UnsupportedError, UsageError } from '../errors';
import type { BatchRequest } from './pipeline';

/** How much of a run is done on a picture by default, as in diffusers. */
export const DEFAULT_STRENGTH = 0.6;

/**
 * The first step of a run that begins with a picture, as diffusers counts it: the last `strength` of all steps is run.
 * @param strength 0 … 1; at 1 nothing of the picture is left
 * @throws UsageError when no step would be left
 */
export function firstStep(steps: number, strength: number): number {
  if (!(strength >= 0 && strength <= 1)) {
    throw new UsageError(`A strength of ${strength} is not between 0 and 1.`, {
      hint: 'Small values keep the picture, large ones draw it anew: 0.6 is usual.',
    });
  }
  const first = Math.trunc(steps - Math.min(steps * strength, steps));
  if (first < steps) return first;
  throw new UsageError(`A strength of ${strength} leaves none of ${steps} steps to run.`, {
    hint: 'Take a larger one: 0.6 is usual.',
  });
}

/** @throws UnsupportedError where a model that always begins with noise is given a picture */
export function refusePicture({ init }: Pick<BatchRequest, 'init'>, id: string, kind: 'image' | 'clip' = 'clip'): void {
  if (!init) return;
  throw new UnsupportedError(
    `${id} ${kind === 'clip' ? 'draws clips' : 'begins with noise'}, and cannot begin with a picture.`,
    {
      hint: 'Omit the picture (init, --init); it is for FLUX and for the embedded model of pictures.',
    },
  );
}
