import { Option } from 'commander';
import { computeTypes } from '../nn/bfloat16';

/** `--dtype`, of every command that runs a transformer in either type. */
export function dtypeOption(): Option {
  return new Option(
    '--dtype <type>',
    "what the products of the transformer's blocks are computed in; bfloat16 (native only): half the memory, faster",
  )
    .choices(computeTypes)
    .default('float32');
}
