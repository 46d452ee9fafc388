import type { Media } from '../../media/pixels';
import { deserializePolicy, serializePolicy } from '../../policy/bytes';
import type { Policy } from '../../policy/data';
import type { Comparison } from './comparison';
import type { Store } from './store';

/** A comparison in memory. Its pictures are measured and let go. */
export function memoryStore(comparison: Comparison): Store {
  const pixels = new Map<number, readonly Media[]>();
  const policies = new Map<string, Policy>();
  return {
    comparison,
    continued: false,
    async save() {},
    async finish() {
      comparison.state = 'complete';
      pixels.clear();
    },
    hasPixels: async batch => pixels.has(batch),
    keepPixels: async (batch, media) => void pixels.set(batch, media),
    pixels: async batch => pixels.get(batch) ?? [],
    async keepPicture() {},
    async keepDifference() {},
    async keepFile() {},
    policy: async name => policies.get(name),
    async keepPolicy(name, policy) {
      const { json, coefficients } = await serializePolicy(policy, name);
      const read = await deserializePolicy(json, async file => ({ name: file, bytes: coefficients! }), name);
      policies.set(name, read);
      return read;
    },
  };
}
