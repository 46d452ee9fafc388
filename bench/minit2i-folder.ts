import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { miniT2I } from '../src/models/minit2i';
import { preset } from '../src/models/presets';
import { t5Config, t5Parameters } from '../src/models/text/t5';
import { writeModel } from './synthetic-checkpoint';

/** FLAN-T5-large's encoder. */
const TEXT = {
  architectures: ['T5ForConditionalGeneration'],
  vocab_size: 32_128,
  d_model: 1024,
  d_kv: 64,
  d_ff: 2816,
  num_layers: 24,
  num_heads: 16,
  feed_forward_proj: 'gated-gelu',
};
/** A tokenizer of the same kind with fewer words. */
const TOKENIZER = 'test/fixtures/pipelines/minit2i-tiny/hub/google/flan-t5-large';

/**
 * Writes a pipeline folder of MiniT2I with made-up weights, the text encoder at full size: 1.2 GB for B/16.
 * @param name of a preset
 * @param side of the pictures in pixels; the published 512 unless given
 */
export function writeMiniT2I(root: string, name: string, side = 512): void {
  const transformer = { ...preset(name).transformer, image_size: side };
  for (const part of ['transformer', 'text_encoder', 'tokenizer']) mkdirSync(join(root, part));
  writeModel(join(root, 'transformer'), transformer, miniT2I.parameters(miniT2I.schema.parse(transformer)));
  writeModel(join(root, 'text_encoder'), TEXT, t5Parameters(t5Config.parse(TEXT)), { stem: 'model' });
  for (const file of ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json']) {
    cpSync(join(TOKENIZER, file), join(root, 'tokenizer', file));
  }
}
