import { z } from 'zod';
import { parseConfig } from '../../io/parse-config';
import { type TorchGenerator, torchGenerator } from '../../random/torch-generator';
import type { CaseRunner } from './golden-case';

/** The draws of a case, in the order in which they were made. */
const draws = z.array(
  z.object({ name: z.string(), seed: z.int(), shape: z.array(z.int().nonnegative()), dtype: z.string() }),
);

/**
 * Runs a case of the group `random`: what PyTorch draws on the CPU. The float32 draws of one seed come from one
 * generator, one after the other; a bfloat16 draw from a fresh one.
 */
export const runRandom: CaseRunner = async (golden, produce) => {
  const running = new Map<number, TorchGenerator>();
  for (const { name, seed, shape, dtype } of parseConfig(draws, golden.call.call, 'case.json')) {
    const output = name.replace(/^out\./, '');
    if (dtype.startsWith('bfloat16')) {
      produce(output, torchGenerator(seed).normal(shape, 'bfloat16'));
      continue;
    }
    const generator = running.get(seed) ?? torchGenerator(seed);
    running.set(seed, generator);
    produce(output, generator.normal(shape));
  }
};
