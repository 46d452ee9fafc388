import { TestEnvironment } from 'jest-environment-node';

const SHARED = {
  ArrayBuffer,
  SharedArrayBuffer,
  DataView,
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
};

/**
 * Node's test environment with the typed arrays of the process itself.
 *
 * Each test file has its own modules and globals, so its own tfjs; only a native addon is loaded once per process,
 * and what it returns are the process's typed arrays. tfjs tells data types by `instanceof`, which holds only when
 * a test file sees the same classes.
 */
export default class SharedArraysEnvironment extends TestEnvironment {
  override async setup(): Promise<void> {
    await super.setup();
    Object.assign(this.global, SHARED);
  }
}
