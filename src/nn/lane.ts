import * as tf from '@tensorflow/tfjs-core';

/**
 * The kinds of backend that want their layers written differently: TensorFlow's C library takes large batched
 * products, wasm multiplies fast only in two dimensions, everything else gets the plain form.
 */
export type Lane = 'native' | 'wasm' | 'portable';

/** The lane of the backend that is active now. */
export function lane(): Lane {
  switch (tf.getBackend()) {
    case 'tensorflow':
      return 'native';
    case 'wasm':
      return 'wasm';
    default:
      return 'portable';
  }
}
