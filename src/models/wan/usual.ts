import { onePlus } from '../../sampling/frame-rule';
import type { PictureSize } from '../../sampling/pipeline';
import type { UsualRun } from '../family';

/** What the published checkpoints draw. */
export const WAN_SIZE: PictureSize = { height: 480, width: 832, frames: 81 };
export const WAN_FRAMES = onePlus(4, 'Wan');
export const WAN_RUN: UsualRun = { steps: 50, guidance: 5 };
