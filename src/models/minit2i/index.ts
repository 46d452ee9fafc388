import { family, numbered } from '../family';
import { miniT2IConfig } from './config';
import { miniT2IGolden } from './golden';
import { miniT2IParameters, ROOT } from './parameters';
import { miniT2IPipeline } from './pipeline';
import { miniT2IPresets } from './presets';
import { miniT2ISignature } from './signature';
import { miniT2ISynthetic } from './synthetic';
import { createMiniT2I } from './transformer';
import { miniT2IRun, miniT2ISize } from './usual';
import { miniT2IWorkload } from './workload';

/** MiniT2I (2026): pixels straight from a transformer. */
export const miniT2I = family({
  className: 'MiniT2IMMJiTModel',
  title: 'MiniT2I',
  schema: miniT2IConfig,
  parameters: miniT2IParameters,
  blockNames: c => numbered(`${ROOT}.double_blocks`, c.depth_double),
  create: createMiniT2I,
  usualSize: miniT2ISize,
  usualRun: miniT2IRun,
  workload: miniT2IWorkload,
  presets: miniT2IPresets,
  autoencoders: {},
  pipelineClasses: ['MiniT2ITextToImagePipeline'],
  index: {
    parts: [
      ...['transformer', 'scheduler', 'text_encoder', 'tokenizer', 'text_encoder_name', 'num_inference_steps'],
      ...['train_t_schedule', 't_lognorm_mu', 't_lognorm_sigma'],
    ],
  },
  joins: c => ({ latents: c.in_channels, outputs: c.in_channels, texts: { text_encoder: c.txt_input_size } }),
  pipeline: miniT2IPipeline,
  signature: miniT2ISignature,
  golden: miniT2IGolden,
  synthetic: miniT2ISynthetic,
});
