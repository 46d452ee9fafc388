import type { FrameRule } from '../../sampling/frame-rule';
import type { PictureSize } from '../../sampling/pipeline';
import type { UsualRun } from '../family';
import { LATENT_PIXELS } from '../workload';
import type { CogVideoXConfig } from './transformer';

/**
 * The size that a model was trained at, which its configuration tells.
 * @param pixels to a side of what one latent pixel stands for
 */
export function cogVideoXSize(config: CogVideoXConfig, pixels = LATENT_PIXELS): PictureSize {
  return { height: config.sample_height * pixels, width: config.sample_width * pixels, frames: config.sample_frames };
}

/**
 * Its autoencoder decodes latent frames two by two; only the first of all may stand alone. What is asked for has to
 * come out so.
 */
export function cogVideoXFrames(ratio: number): FrameRule {
  const pair = 2 * ratio;
  return {
    model: 'CogVideoX',
    says: `a multiple of ${pair} frames, or one more`,
    allows: frames => frames % pair === 0 || frames % pair === 1,
  };
}

/** Latent frames of a clip. */
export const cogVideoXLatentFrames = (frames: number, ratio: number): number => Math.floor((frames - 1) / ratio) + 1;

export const COGVIDEOX_RUN: UsualRun = { steps: 50, guidance: 6 };
