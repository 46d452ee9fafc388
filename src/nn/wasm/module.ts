import { binaries } from './binary';

/**
 * How the kernels compute: `fma` rounds a product and a sum once, where the processor does so too; `plain` is the same on
 * every machine. Each level gives the same digits wherever it runs, the two differ in the last ones.
 */
export type KernelLevel = 'fma' | 'plain';

/** What each kernel is given; addresses and sizes are numbers, absent tensors 0. See `assembly/`. */
export interface KernelArguments {
  product: [
    ...addresses: [a: number, b: number, c: number],
    ...sizes: [m: number, k: number, n: number],
    ...after: [bias: number, activation: number, times: number],
  ];
  attend: [
    ...addresses: [q: number, k: number, v: number, out: number],
    ...sizes: [batch: number, heads: number, queries: number, keys: number, width: number, valueWidth: number],
    scale: number,
    ...bias: [bias: number, ofImage: number, ofHead: number, ofQuery: number],
  ];
  layerNorm: [
    ...addresses: [x: number, out: number],
    ...sizes: [rows: number, width: number],
    eps: number,
    ...affine: [weight: number, bias: number, scale: number, shift: number],
    ofGroup: number,
  ];
  rmsNorm: [x: number, out: number, rows: number, width: number, eps: number, weight: number];
  rotate: [
    ...addresses: [x: number, out: number],
    ...sizes: [rows: number, heads: number, width: number, tokens: number],
    ...tables: [cos: number, sin: number, halves: number],
    ...norm: [weight: number, eps: number, factor: number],
  ];
  gated: [a: number, gate: number, b: number, out: number, rows: number, width: number, ofGroup: number];
  activate: [x: number, out: number, size: number, kind: number];
}

/** A kernel by name, and what it is given. */
export type KernelCall = {
  [Name in keyof KernelArguments]: readonly [name: Name, ...given: KernelArguments[Name]];
}[keyof KernelArguments];

/** Which share of the work is to be done, and where memory for it is; kernels of rows need none. */
type Share = [part: number, parts: number, scratch: number];

/** The module's functions. */
export type KernelModule = {
  readonly [Name in keyof KernelArguments]: (...given: [...KernelArguments[Name], ...Share]) => void;
} & {
  isFused(x: number): number;
  productScratch(k: number): number;
  attendScratch(keys: number, width: number, valueWidth: number): number;
  /** Decodes stored matrices; what computes nothing is shared out to no threads. */
  widen(
    kind: number,
    from: number,
    stride: number,
    rows: number,
    columns: number,
    out: number,
    ldo: number,
    scratch: number,
  ): void;
  widenScratch(): number;
};

const decoded = (base64: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(base64), character => character.charCodeAt(0));

/** How the one import is described, with its section's length: a memory of one process, or of several threads. */
const OWN = [...[2, 15, 1, 3], ...[...'env\x06memory'].map(c => c.charCodeAt(0)), ...[2, 0, 1]];
const SHARED = [...[2, 18, 1, 3], ...OWN.slice(4, -3), ...[2, 3, 1, 0x80, 0x80, 4]];

/** The same code for a memory that threads share, of 65,536 pages at most. */
export function forSharedMemory(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const at = bytes.findIndex((_, i) => OWN.every((byte, j) => bytes[i + j] === byte));
  if (at < 0) throw new Error('The kernels import no memory.');
  return Uint8Array.from([...bytes.subarray(0, at), ...SHARED, ...bytes.subarray(at + OWN.length)]);
}

/** Whether threads share it. By its name, since the classes of another realm are not ours. */
export function isShared({ buffer }: WebAssembly.Memory): boolean {
  return Object.prototype.toString.call(buffer) === '[object SharedArrayBuffer]';
}

/** Kernels of a level, ready to run. */
export interface CompiledKernels {
  readonly level: KernelLevel;
  /** What threads make kernels of their own from. */
  readonly code: WebAssembly.Module;
  readonly module: KernelModule;
}

/**
 * Compiles the kernels for a memory. Nothing of it is theirs: they hold no data and allocate nothing.
 * @param memory tfjs's
 * @returns undefined where the machine lacks the level: no relaxed SIMD, a processor that rounds twice, no SIMD at all
 */
export async function compileKernels(
  memory: WebAssembly.Memory,
  level: KernelLevel,
): Promise<CompiledKernels | undefined> {
  const own = decoded(binaries[level]);
  const bytes = isShared(memory) ? forSharedMemory(own) : own;
  if (!WebAssembly.validate(bytes)) return undefined;
  const { module: code, instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
  const module = instance.exports as unknown as KernelModule;
  return level === 'plain' || module.isFused(1 + 2 ** -12) ? { level, code, module } : undefined;
}
