import * as tf from '@tensorflow/tfjs-core';

/**
 * The kinds of backend that want their layers written differently: TensorFlow's C library takes large batched
 * products, wasm multiplies fast only in two dimensions, everything else gets the plain form.
 */
export type Lane = 'native' | 'wasm' | 'portable';

let forced: Lane | undefined;

/** The lane of the backend that is active now, or the one that was forced. */
export function lane(): Lane {
  if (forced) return forced;
  switch (tf.getBackend()) {
    case 'tensorflow':
      return 'native';
    case 'wasm':
      return 'wasm';
    default:
      return 'portable';
  }
}

/**
 * Makes every layer take this lane until the returned function is called, whatever the backend is: `portable` uses
 * nothing but tfjs's own kernels, which is what a recording of a model needs.
 */
export function forceLane(name: Lane): () => void {
  const before = forced;
  forced = name;
  return () => {
    forced = before;
  };
}
