import type { FullRequest } from '../draw/request';
import { LIMITS } from '../media/limits';
import type { ServedModel } from './catalog';
import { Refusal } from './jobs/faults';

/** How much one request may ask for. All of it is checked before anything is allocated. */
export interface Limits {
  /** Bytes of a body of JSON. */
  readonly jsonBytes: number;
  /** Bytes of a body with a file in it. */
  readonly uploadBytes: number;
  /** Denoising steps. */
  readonly steps: number;
  /** Pixels of a picture, or of all frames of a clip, as large as they are written. */
  readonly pixels: number;
}

/** The limits where nothing else is said. */
export const USUAL_LIMITS: Limits = { jsonBytes: 2 ** 18, uploadBytes: 2 ** 25, steps: 200, pixels: LIMITS.pixels / 2 };

/** What of a request decides how much it is. */
type Asked = Pick<FullRequest, 'steps' | 'size' | 'scale'>;

/** @throws Refusal for a request that asks for too much */
export function requireWithin(limits: Limits, { steps = 0, size, scale }: Asked, model: ServedModel): void {
  if (steps > limits.steps) {
    throw new Refusal(400, 'too_large', `${steps} steps were asked for, and at most ${limits.steps} are taken here.`, {
      param: 'steps',
    });
  }
  const width = size?.width ?? model.size.width;
  const height = size?.height ?? model.size.height;
  const frames = size?.frames ?? model.size.frames;
  const pixels = width * height * frames * scale ** 2;
  if (pixels <= limits.pixels) return;
  const shape = `${width * scale}x${height * scale}${frames > 1 ? ` in ${frames} frames` : ''}`;
  throw new Refusal(400, 'too_large', `${shape} is ${pixels} pixels, and at most ${limits.pixels} are drawn here.`, {
    param: 'size',
  });
}
