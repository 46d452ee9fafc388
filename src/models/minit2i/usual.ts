import { onePicture } from '../../sampling/frame-rule';
import type { PictureSize } from '../../sampling/pipeline';
import type { UsualRun } from '../family';
import type { MiniT2IConfig } from './config';

export const MINIT2I_FRAMES = onePicture('MiniT2I');

/** Tables of positions are made for any size, but the models were trained at one. */
export function miniT2ISize({ image_size: side }: MiniT2IConfig): PictureSize {
  return { height: side, width: side, frames: 1 };
}

/** The widest model that its authors' demo guides weakly. */
const SMALL = 768;

/** What the authors' demo takes: 2.5 for B/16, 6 for L/16. */
export function miniT2IRun({ n_T: steps, hidden_size: width }: MiniT2IConfig): UsualRun {
  return { steps, guidance: width <= SMALL ? 2.5 : 6 };
}
