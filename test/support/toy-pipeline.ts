import * as tf from '@tensorflow/tfjs-core';
import { resized } from '../../src/media/resize';
import { createFlux, fluxConfig, fluxParameters } from '../../src/models/flux/transformer';
import { createPixelPipeline } from '../../src/pipelines/pixel';
import { pixelFormat } from '../../src/pipelines/pixel-formats';
import { torchGenerator } from '../../src/random/torch-generator';
import type { Pipeline } from '../../src/sampling/pipeline';
import { flowMatchEulerConfig } from '../../src/schedulers/flow-match-euler';
import { createWordTable } from '../../src/text/word-table';
import type { Denoiser } from '../../src/transformer/denoiser';
import { memoryStore } from '../../src/weights/memory-store';

const GEOMETRY = { patch: 4, grid: 4, channels_per_token: 48 };
const WORDS = ['pad', 'null', 'red', 'blue', 'heart', 'star', 'lion', 'key'];

export interface ToyOptions {
  readonly seed?: number;
  /** What identifies the model to policies. */
  readonly hash?: string;
  /** Changes the values of a parameter before it is used. */
  readonly change?: (name: string, values: Float32Array) => void;
}

/**
 * A whole pipeline around a tiny FLUX with made-up weights: 16 tokens, two blocks, pictures of 16 × 16 pixels. Its
 * output changes from step to step by enough that thresholds tell steps apart.
 */
export function toyPipeline({ seed = 1, hash = 'toy', change }: ToyOptions = {}): Pipeline {
  const config = fluxConfig.parse({
    _class_name: 'FluxTransformer2DModel',
    in_channels: GEOMETRY.channels_per_token,
    num_layers: 1,
    num_single_layers: 1,
    attention_head_dim: 8,
    num_attention_heads: 2,
    joint_attention_dim: 8,
    pooled_projection_dim: 8,
    axes_dims_rope: [4, 2, 2],
  });
  const random = torchGenerator(seed);
  const table = fluxParameters(config);
  const values = table.map(({ name, shape }) => {
    const isNorm = /norm[^.]*\.weight$/.test(name) && shape.length === 1;
    const spread = isNorm ? 0.1 : 1 / Math.sqrt(shape[1] ?? 16);
    const data = random.normal(shape).map(x => (isNorm ? 1 : 0) + x * spread);
    change?.(name, data);
    return [name, { shape, data }] as const;
  });
  const store = memoryStore(table, new Map(values), ['transformer_blocks.0', 'single_transformer_blocks.0']);
  const tokenizer = { max_length: 3, pad_id: 0, null_id: 1, pattern: '[a-z]+', stop_words: ['a'] };
  return createPixelPipeline({
    info: {
      id: 'toy',
      hash,
      modelClass: 'FluxTransformer2DModel',
      schedulerClass: 'FlowMatchEulerDiscreteScheduler',
      parameters: 0,
      kind: 'image',
      defaults: { steps: 6, guidance: 2 },
      prompts: ['red heart', 'blue star', 'lion', 'key'],
    },
    format: pixelFormat('FluxTransformer2DModel', GEOMETRY),
    model: createFlux(config, store) as Denoiser,
    scheduler: flowMatchEulerConfig.parse({ _class_name: 'FlowMatchEulerDiscreteScheduler' }),
    words: createWordTable(tokenizer, Object.fromEntries(WORDS.map((word, id) => [word, id]))),
    embeddings: tf.tensor2d(random.normal([WORDS.length, 8]), [WORDS.length, 8]),
    padId: 0,
    resize: resized,
  });
}
