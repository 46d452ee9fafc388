import { type ClientOptions, createClient } from '../../src/browser/client/client';
import { UsageError } from '../../src/errors';

test.each([
  [{ backend: 'gpu' }, 'The argument backend is "gpu", and must be auto, wasm, webgpu or webgl.'],
  [{ threads: Number.NaN }, 'The argument threads is NaN, and must be a whole number, at least 1.'],
  [{ threads: 0 }, 'The argument threads is 0, and must be a whole number, at least 1.'],
  [{ kernels: 'fast' }, 'The argument kernels is "fast", and must be fma or plain.'],
])('how a client computes is checked before its worker is made: %j', (given, message) => {
  const worker = jest.fn();
  const make = () => createClient({ worker, ...given } as unknown as ClientOptions);
  expect(make).toThrow(UsageError);
  expect(make).toThrow(message);
  expect(worker).not.toHaveBeenCalled();
});
