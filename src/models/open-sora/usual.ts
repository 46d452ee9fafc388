import { parseConfig } from '../../io/parse-config';
import type { FrameRule } from '../../sampling/frame-rule';
import type { PictureSize } from '../../sampling/pipeline';
import { rflowConfig } from '../../schedulers/rflow';
import type { UsualRun } from '../family';
import type { OpenSoraConfig } from './transformer';

/** What the published checkpoint draws. */
export const OPEN_SORA_SIZE: PictureSize = { height: 480, width: 848, frames: 51 };

/** Times are shifted by whole groups of 17 frames, of which a clip needs one. */
export const OPEN_SORA_FRAMES: FrameRule = {
  model: 'Open-Sora',
  says: '1 frame, or at least 17',
  allows: frames => frames === 1 || frames >= 17,
};

/** Steps and guidance stand in the sampler's configuration. */
export function openSoraUsualRun(_config: OpenSoraConfig, scheduler: unknown): UsualRun {
  const { num_sampling_steps: steps, cfg_scale: guidance } = parseConfig(
    rflowConfig,
    scheduler,
    'scheduler_config.json',
  );
  return { steps, guidance };
}
