import { assertFits, availableMemory, formatBytes, peakMemory, totalMemory } from '../../src/engine/memory';

test('memory is counted in bytes', () => {
  expect(availableMemory()).toBeGreaterThan(1e7);
  expect(totalMemory()).toBeGreaterThanOrEqual(availableMemory());
  expect(peakMemory()).toBeGreaterThanOrEqual(process.memoryUsage.rss() * 0.9);
});

test('bytes are written as people read them', () => {
  expect([999, 1500, 3.5e9, 21.9e9, 300e6].map(formatBytes)).toEqual(['1 KB', '1.5 KB', '3.5 GB', '21.9 GB', '300 MB']);
});

test('work that cannot fit is refused before it is begun', () => {
  expect(() => assertFits({ bytes: 4e9 }, 'wasm', 'Sampling', 64e9)).toThrow(
    'Sampling needs 4 GB; WebAssembly can hold 3.5 GB.',
  );
  expect(() => assertFits({ bytes: 4e9 }, 'native', 'Sampling', 2e9)).toThrow(
    'Sampling needs 4 GB; 2 GB are available.',
  );
  expect(() => assertFits({ bytes: 4e9 }, 'gpu', 'Sampling', 2e9)).not.toThrow();
  expect(() => assertFits({ bytes: 4e9, held: 3e9 }, 'native', 'Sampling', 2e9)).not.toThrow();
  expect(() => assertFits({ bytes: 4e9, held: 3e9 }, 'wasm', 'Sampling', 2e9)).toThrow('WebAssembly');
  expect(() => assertFits({ bytes: 1e9 }, 'wasm', 'Sampling', 2e9)).not.toThrow();
});
