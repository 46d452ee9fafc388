import type { Tensor } from '@tensorflow/tfjs-core';
import { CheckpointError } from '../errors';
import type { Params } from '../nn/params';
import { bytesOf } from './computed';
import type { WeightStore } from './parameters';

/** A view of the tensors whose names begin with `prefix`. */
export function view(tensors: Pick<ReadonlyMap<string, Tensor>, 'get' | 'has'>, prefix: string): Params {
  return {
    tensor(name) {
      const tensor = tensors.get(prefix + name);
      if (tensor) return tensor;
      throw new CheckpointError('missing_key', `The parameter ${prefix}${name} is not in memory.`, {
        hint: 'It is missing from the parameter table, belongs to another block, or its store was disposed.',
      });
    },
    has: name => tensors.has(prefix + name),
    at: name => view(tensors, `${prefix}${name}.`),
  };
}

/**
 * A store whose tensors are all in memory. It owns them: `dispose` disposes them.
 * @param blocks module prefixes whose parameters only `use` hands out
 */
export function residentStore(tensors: ReadonlyMap<string, Tensor>, blocks: readonly string[] = []): WeightStore {
  const held = new Map(tensors);
  const inBlock = (name: string) => blocks.some(block => name.startsWith(`${block}.`));
  const outside = new Map([...held].filter(([name]) => !inBlock(name)));
  return {
    resident: view(outside, ''),
    use: async (prefix, work) => work(view(held, `${prefix}.`)),
    bytes: [...held.values()].reduce((sum, tensor) => sum + bytesOf(tensor), 0),
    dispose() {
      for (const tensor of held.values()) tensor.dispose();
      held.clear();
      outside.clear();
    },
  };
}
