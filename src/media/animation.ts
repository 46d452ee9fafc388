import type { Sharp } from 'sharp';
import { frameDelays } from './frame-delays';
import { type Clip, frameSize, toBytes } from './pixels';
import { loadSharp, MAX_PIXELS } from './sharp';
import { toXmp } from './xmp';

export interface AnimationOptions {
  /** Frames per second. */
  fps: number;
  /** 1 … 100; 100 is lossless in WebP. GIF has 256 colours at any quality. */
  quality?: number | undefined;
  /** JSON that says how the clip was made; WebP keeps it in its XMP, GIF cannot. */
  receipt?: unknown | undefined;
}

/** A clip as an animated WebP that plays for ever. */
export async function encodeAnimatedWebp(clip: Clip, options: AnimationOptions): Promise<Buffer> {
  const { fps, quality = 90, receipt } = options;
  const frames = clip.shape[0]!;
  return (await raw(clip))
    .withXmp(toXmp({ receipt, frames, fps }))
    .webp({ quality, lossless: quality === 100, effort: 2, delay: frameDelays(frames, fps, 1), loop: 0 })
    .toBuffer();
}

/** A clip as an animated GIF that plays for ever. */
export async function encodeGif(clip: Clip, options: AnimationOptions): Promise<Buffer> {
  const delay = frameDelays(clip.shape[0]!, options.fps, 10);
  return (await raw(clip)).gif({ delay, loop: 0, effort: 4, keepDuplicateFrames: true }).toBuffer();
}

async function raw(clip: Clip): Promise<Sharp> {
  const sharp = await loadSharp();
  const { height, width } = frameSize(clip);
  return sharp(toBytes(clip), {
    raw: { width, height: height * clip.shape[0]!, channels: 3, pageHeight: height },
    limitInputPixels: MAX_PIXELS,
  });
}
