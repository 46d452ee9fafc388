import { frames, type Media } from '../media/pixels';
import type { Lpips } from './lpips';
import { psnr } from './psnr';
import { ssim } from './ssim';
import { ssimTorchmetrics } from './ssim-torchmetrics';
import { mean } from './statistics';
import { type ImageMetric, perFrame } from './video';

/** Whose SSIM. */
export type SsimForm = 'teacache' | 'torchmetrics';

/** Which mean LPIPS takes: over each layer's own positions, or over the image as TeaCache's evaluation does. */
export type LpipsForm = 'standard' | 'spatial';

export interface CompareOptions {
  ssim?: SsimForm | undefined;
  /** Without it, no LPIPS is computed. */
  lpips?: Lpips | undefined;
  lpipsForm?: LpipsForm | undefined;
}

/** How alike two images or two clips are; of clips, the mean over frames. */
export interface Likeness {
  frames: number;
  psnr: number;
  ssim: number;
  lpips?: number;
}

const SSIM: Readonly<Record<SsimForm, ImageMetric>> = { teacache: ssim, torchmetrics: ssimTorchmetrics };

/** All metrics of two images, or of two clips of one length. Throws a ShapeError where their sizes differ. */
export async function compareMedia(a: Media, b: Media, options: CompareOptions = {}): Promise<Likeness> {
  const { ssim: form = 'teacache', lpips, lpipsForm = 'standard' } = options;
  const byPsnr = perFrame(psnr, a, b);
  const scores = { frames: byPsnr.length, psnr: mean(byPsnr), ssim: mean(perFrame(SSIM[form], a, b)) };
  if (lpips === undefined) return scores;
  const others = frames(b);
  const distances: number[] = [];
  for (const [i, frame] of frames(a).entries()) {
    const { value, spatial } = await lpips.compare(frame, others[i]!);
    distances.push(lpipsForm === 'spatial' ? spatial : value);
  }
  return { ...scores, lpips: mean(distances) };
}
