import { UsageError } from '../errors';
import { frameSize, frames, isClip, type Media } from '../media/pixels';
import { toRgba } from './rgba';

/** How media is shown on a canvas. */
export interface DrawToOptions {
  /** Which frame of a clip, from 0. */
  readonly frame?: number | undefined;
}

/**
 * Shows a picture, or one frame of a clip, on a canvas, which gets its size. Enlarge it by CSS (`image-rendering:
 * pixelated` for small models).
 * @param canvas where it is shown
 * @param media a picture or a clip, or the bitmaps of one
 * @param options which frame
 * @throws UsageError for a frame that the clip does not have
 */
export function drawTo(
  canvas: HTMLCanvasElement | OffscreenCanvas,
  media: Media | readonly ImageBitmap[],
  { frame = 0 }: DrawToOptions = {},
): void {
  const all = 'shape' in media ? frames(media) : media;
  const shown = all[frame];
  if (!shown) throw new UsageError(`There is no frame ${frame} of ${all.length}.`);
  const size = 'shape' in shown ? frameSize(shown) : shown;
  // Setting a size clears the canvas, which would flicker.
  if (canvas.width !== size.width) canvas.width = size.width;
  if (canvas.height !== size.height) canvas.height = size.height;
  const context = canvas.getContext('2d') as CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D | null;
  if (!context) throw new UsageError('The canvas is in use for something other than pictures in two dimensions.');
  if ('shape' in shown) context.putImageData(new ImageData(toRgba(shown), size.width, size.height), 0, 0);
  else context.drawImage(shown, 0, 0);
}

/** How a clip is played. */
export interface PlayOptions {
  /** Frames a second; 16 unless given. */
  readonly fps?: number | undefined;
}

/**
 * Plays a clip on a canvas, over and over; a picture is shown.
 * @param canvas where it is shown
 * @param media a clip
 * @param options frames a second
 * @returns stops it
 */
export function playOn(canvas: HTMLCanvasElement, media: Media, { fps = 16 }: PlayOptions = {}): () => void {
  const count = isClip(media) ? media.shape[0]! : 1;
  const start = performance.now();
  let shown = -1;
  let request = 0;
  const show = (): void => {
    const frame = Math.floor(((performance.now() - start) / 1000) * fps) % count;
    if (frame !== shown) drawTo(canvas, media, { frame });
    shown = frame;
    if (count > 1) request = requestAnimationFrame(show);
  };
  show();
  return () => cancelAnimationFrame(request);
}
