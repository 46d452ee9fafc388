import type { PictureSize } from '../../../sampling/pipeline';
import type { Workload } from '../../workload';
import { fluxWorkload } from '../workload';
import { modulationCount } from './approximator';
import type { ChromaConfig } from './config';

/** What a forward pass of Chroma has to do: that of FLUX, with the network that makes the modulations. */
export function chromaWorkload(c: ChromaConfig, size: PictureSize, textTokens?: number): Workload {
  const work = fluxWorkload(c, size, textTokens);
  const modulations = modulationCount(c);
  return {
    ...work,
    rows: name => (name.startsWith('distilled_guidance_layer.') ? modulations : work.rows(name)),
  };
}
