import * as tf from '@tensorflow/tfjs-core';
import { copied } from '../../cache/owned';
import { ShapeError } from '../../errors';
import type { Block, Denoiser, Stream } from '../../models/denoiser';
import { residentStore } from '../../weights/store';
import type { VelocityParts } from './velocity';

/** What `embed` shared: in a function, so that nothing that releases a stream looks into it. */
interface Held {
  readonly tensors: readonly tf.Tensor[];
  readonly value: () => unknown;
}

/** The denoiser interface over a caller's three parts, so that every cache works on them. */
export function denoiserOf<Ctx>(parts: VelocityParts<Ctx>, ctx: () => Ctx): Denoiser {
  const functions = [parts.blocks].flat();
  const blocks = functions.map((run, i): Block => {
    return {
      name: `blocks.${i}`,
      run(_params, { hidden }, shared) {
        const next = run(hidden, (shared as Held).value());
        requireShape(next, hidden.shape, `Block ${i + 1} of the velocity`);
        return { hidden: next };
      },
    };
  });
  const sharedOf = ({ shared }: Stream): unknown => (shared as Held).value();
  return {
    weights: residentStore(new Map()),
    blocks,
    prepare: () => undefined,
    embed(x, timestep) {
      let value: unknown;
      const [hidden, ...tensors] = tf.tidy(() => {
        const embedded = parts.embed(x, timestep as number, ctx());
        const shared = copied(embedded.shared);
        value = shared.value;
        return [embedded.hidden.clone(), ...shared.tensors];
      });
      return { tokens: { hidden: hidden as tf.Tensor }, shared: { tensors, value: () => value } satisfies Held };
    },
    head: stream => tf.tidy(() => parts.head(stream.tokens.hidden, sharedOf(stream)).clone()),
    signal: async stream => {
      const { hidden } = stream.tokens;
      return tf.tidy(() => (parts.signal?.(hidden, sharedOf(stream)) ?? hidden).clone());
    },
  };
}

function requireShape(tokens: tf.Tensor, shape: readonly number[], what: string): void {
  if (tokens.shape.join() === shape.join()) return;
  throw new ShapeError(`${what} returned shape [${tokens.shape}] for tokens of shape [${shape}].`, {
    hint: 'A block returns tokens of the shape it was given, so that their residual can be kept.',
  });
}
