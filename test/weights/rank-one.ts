import { writeFileSync } from 'node:fs';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';

/** Writes a LoRA of rank 1 that adds the square of a number to every value of one square matrix. */
export function writeRankOne(path: string, module: string, side: number, value: number): string {
  const filled = (shape: number[]): TensorToWrite => ({
    dtype: 'F32',
    shape,
    data: new Float32Array(side).fill(value),
  });
  const tensors = [
    [`transformer.${module}.lora_A.weight`, filled([1, side])],
    [`transformer.${module}.lora_B.weight`, filled([side, 1])],
  ] as const;
  writeFileSync(path, encodeSafetensors(new Map(tensors)));
  return path;
}
