import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { run } from './run';

/** One graphics card, as nvidia-smi describes it. */
export interface Gpu {
  name: string;
  driver: string;
  memoryMiB: number;
}

/** The NVIDIA GPUs of this machine; empty when there is none or no driver. */
export async function findGpus(env: NodeJS.ProcessEnv = process.env): Promise<Gpu[]> {
  const query = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader,nounits'];
  const { code, stdout } = await run('nvidia-smi', query, { env, timeout: 10_000 });
  if (code !== 0) return [];
  return stdout
    .split('\n')
    .map(line => line.split(',').map(part => part.trim()))
    .filter(parts => parts.length === 3)
    .map(([name = '', driver = '', memory]) => ({ name, driver, memoryMiB: Number(memory) }));
}

// What makes TensorFlow fast: wide vectors, dot products of narrow numbers, matrix tiles.
const NOTABLE = ['avx', 'avx2', 'fma', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_bf16', 'asimd', 'sve', 'bf16'];

/** The processor: its name, how many threads may run, and its vector extensions where the system lists them. */
export function describeCpu(): { model: string; threads: number; features: string[] } {
  let listed: string[] = [];
  try {
    const line = readFileSync('/proc/cpuinfo', 'utf8').match(/^(flags|Features)\s*:(.*)$/m)?.[2] ?? '';
    listed = line.trim().split(' ');
  } catch {
    // Only Linux has it.
  }
  return {
    model: cpus()[0]?.model.trim() ?? 'unknown',
    threads: availableParallelism(),
    features: NOTABLE.filter(name => listed.includes(name)),
  };
}

/** Whether this Node runs WebAssembly with SIMD: the smallest module that uses it is valid. */
export function hasWasmSimd(): boolean {
  const bytes = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26, 11];
  // Node's types leave WebAssembly to the DOM's.
  const { WebAssembly } = globalThis as unknown as { WebAssembly: { validate(bytes: Uint8Array): boolean } };
  return WebAssembly.validate(new Uint8Array(bytes));
}
