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

export const COGVIDEOX_RUN: UsualRun = { steps: 50, guidance: 6 };
