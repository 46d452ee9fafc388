import type * as tf from '@tensorflow/tfjs-core';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';

/** The arguments of the reference's forward pass, from the condition, context and latent that ours gets. */
export function referenceArguments(
  className: string,
  condition: Record<string, unknown>,
  context: Record<string, unknown>,
  latent: tf.Tensor,
  timestep: number,
): Uint8Array {
  const batch = latent.shape[0] as number;
  const text = (condition.encoderHiddenStates ?? condition.captions) as tf.Tensor;
  const rows = (value: number): Float32Array => new Float32Array(batch).fill(value);
  const ids = (list: readonly (readonly number[])[]): TensorToWrite => ({
    dtype: 'F32',
    shape: [list.length, 3],
    data: Float32Array.from(list.flat()),
  });
  const given = new Map<string, TensorToWrite>();
  const put = (name: string, tensor: tf.Tensor): void => {
    given.set(name, { dtype: 'F32', shape: tensor.shape, data: tensor.dataSync<'float32'>() });
  };
  const number = (name: string, value: number): void => {
    given.set(name, { dtype: 'F32', shape: [batch], data: rows(value) });
  };
  if (className === 'STDiT3') {
    put('x', latent);
    put('captions', text);
    put('positions', context.positions as tf.Tensor);
    number('timestep', timestep);
    number('fps', condition.fps as number);
  } else if (className === 'MiniT2IMMJiTModel') {
    put('hidden_states', latent);
    for (const name of ['text', 'cos', 'sin', 'added']) put(name, context[name] as tf.Tensor);
    number('timestep', timestep);
  } else {
    put('hidden_states', latent);
    put('encoder_hidden_states', text);
    number('timestep', className === 'FluxTransformer2DModel' ? timestep / 1000 : timestep);
  }
  if (className === 'FluxTransformer2DModel') {
    put('pooled_projections', condition.pooledProjections as tf.Tensor);
    given.set('img_ids', ids(condition.imgIds as number[][]));
    given.set('txt_ids', ids(Array.from({ length: text.shape[1] as number }, () => [0, 0, 0])));
    if (condition.guidance) number('guidance', (condition.guidance as number[])[0] as number);
  }
  return encodeSafetensors(given);
}
