import { onePicture } from '../../sampling/frame-rule';
import type { UsualRun } from '../family';
import type { FluxConfig } from './transformer';

export const FLUX_FRAMES = onePicture('FLUX');

/** FLUX.1-dev is told its guidance; FLUX.1-schnell, distilled to few steps, has none (diffusers passes it 0). */
export function fluxUsualRun({ guidance_embeds: isGuided }: FluxConfig): UsualRun {
  return isGuided ? { steps: 28, guidance: 3.5 } : { steps: 4, guidance: 0 };
}
