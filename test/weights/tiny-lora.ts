import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { familyOf } from '../../src/models/families';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';

/** A FLUX of a few thousand weights. */
export const TINY_FLUX = resolve(__dirname, '../fixtures/pipelines/flux-tiny/pipeline');

/** A LoRA of rank 1 on the first attention of the tiny pipeline. */
export function writeLora(path: string, value: number): void {
  const config = JSON.parse(readFileSync(resolve(TINY_FLUX, 'transformer/config.json'), 'utf8'));
  const family = familyOf('FluxTransformer2DModel');
  const name = 'transformer_blocks.0.attn.to_q';
  const { shape } = family.parameters(family.schema.parse(config)).find(listed => listed.name === `${name}.weight`)!;
  const filled = (size: number[]): TensorToWrite => ({
    dtype: 'F32',
    shape: size,
    data: new Float32Array(size[0]! * size[1]!).fill(value),
  });
  const tensors = new Map([
    [`transformer.${name}.lora_A.weight`, filled([1, shape[1]!])],
    [`transformer.${name}.lora_B.weight`, filled([shape[0]!, 1])],
  ]);
  writeFileSync(path, encodeSafetensors(tensors));
}
