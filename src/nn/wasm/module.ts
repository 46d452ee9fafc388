import { binaries } from './binary';

/**
 * How the kernels compute: `fma` rounds a product and a sum once, where the processor does so too; `plain` is the same on
 * every machine. Each level gives the same digits wherever it runs, the two differ in the last ones.
 */
export type KernelLevel = 'fma' | 'plain';

/** The module's functions; addresses and sizes are numbers, absent tensors 0. See `assembly/`. */
export interface KernelModule {
  isFused(x: number): number;
  productScratch(k: number): number;
  product(
    ...given: [
      ...addresses: [a: number, b: number, c: number],
      ...sizes: [m: number, k: number, n: number],
      ...after: [bias: number, activation: number, times: number],
      ...share: [part: number, parts: number],
      scratch: number,
    ]
  ): void;
  attendScratch(keys: number, width: number, valueWidth: number): number;
  attend(
    ...given: [
      ...addresses: [q: number, k: number, v: number, out: number],
      ...sizes: [batch: number, heads: number, queries: number, keys: number, width: number, valueWidth: number],
      scale: number,
      ...bias: [bias: number, ofImage: number, ofHead: number, ofQuery: number],
      ...share: [part: number, parts: number],
      scratch: number,
    ]
  ): void;
  layerNorm(
    ...given: [
      ...addresses: [x: number, out: number],
      ...sizes: [rows: number, width: number],
      eps: number,
      ...affine: [weight: number, bias: number, scale: number, shift: number],
      ofGroup: number,
    ]
  ): void;
  rmsNorm(x: number, out: number, rows: number, width: number, eps: number, weight: number): void;
  rotate(
    ...given: [
      ...addresses: [x: number, out: number],
      ...sizes: [rows: number, heads: number, width: number, tokens: number],
      ...tables: [cos: number, sin: number, halves: number],
      ...norm: [weight: number, eps: number, factor: number],
    ]
  ): void;
  gated(
    ...given: [a: number, gate: number, b: number, out: number, rows: number, width: number, ofGroup: number]
  ): void;
  activate(x: number, out: number, size: number, kind: number): void;
}

/** WebAssembly as far as it is used here: Node's types leave it to the DOM's. */
interface WebAssemblyApi {
  validate(bytes: Uint8Array): boolean;
  instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: { exports: unknown } }>;
}

function decoded(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), character => character.charCodeAt(0));
}

/**
 * Compiles the kernels for a memory. Nothing of it is theirs: they hold no data and allocate nothing.
 * @param memory tfjs's WebAssembly.Memory
 * @returns undefined where the machine lacks the level: no relaxed SIMD, a processor that rounds twice, no SIMD at all
 */
export async function instantiateKernels(memory: object, level: KernelLevel): Promise<KernelModule | undefined> {
  const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };
  const bytes = decoded(binaries[level]);
  if (!WebAssembly.validate(bytes)) return undefined;
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
  const kernels = instance.exports as KernelModule;
  return level === 'plain' || kernels.isFused(1 + 2 ** -12) ? kernels : undefined;
}
