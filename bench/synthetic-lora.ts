import { writeFileSync } from 'node:fs';
import { encodeSafetensors, type TensorToWrite } from '../src/weights/encode-safetensors';
import type { ParameterTable } from '../src/weights/parameters';

/** Writes a LoRA in bfloat16 on every matrix of the blocks. @returns its size */
export function writeLora(path: string, table: ParameterTable, blocks: readonly string[], rank: number): number {
  const tensors = new Map<string, TensorToWrite>();
  const add = (name: string, shape: number[]): void => {
    const data = Uint16Array.from({ length: shape[0]! * shape[1]! }, (_, i) => 0x3a00 + (i % 97));
    tensors.set(name, { dtype: 'BF16', shape, data });
  };
  for (const { name, shape, layout } of table) {
    if (layout !== 'matrix' || !blocks.some(block => name.startsWith(`${block}.`))) continue;
    const module = `transformer.${name.replace(/\.weight$/, '')}`;
    add(`${module}.lora_A.weight`, [rank, shape[1]!]);
    add(`${module}.lora_B.weight`, [shape[0]!, rank]);
  }
  const bytes = encodeSafetensors(tensors);
  writeFileSync(path, bytes);
  return bytes.length;
}
