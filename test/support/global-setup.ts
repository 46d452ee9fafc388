import { candidates } from '../../src/engine/locate';
import { probe } from '../../src/engine/probe';
import type { TestBackend } from './backends';

const KINDS: readonly TestBackend[] = ['native', 'webgpu', 'wasm', 'cpu'];

/** Tries a backend in a child process; undefined when it cannot be used. */
async function tried(kind: TestBackend): Promise<string | undefined> {
  for (const candidate of candidates.filter(c => c.kind === kind)) {
    try {
      const { error, version } = await probe(candidate.locate(process.env));
      if (error === undefined) return kind === 'native' ? `TensorFlow ${version}` : `tfjs ${version}`;
    } catch {
      // Not installed: the next candidate.
    }
  }
  return undefined;
}

/**
 * Finds out once which backends the tests run on, and says it. ERTACACHE_TEST_BACKENDS (for example `wasm,cpu`)
 * chooses them; plain JavaScript is very slow and WebGPU wants a GPU: they are tested only when they are named there.
 */
export default async function globalSetup(): Promise<void> {
  const asked = process.env.ERTACACHE_TEST_BACKENDS?.split(',').map(name => name.trim());
  const usable: string[] = [];
  const lines: string[] = [];
  for (const kind of KINDS) {
    if (asked ? !asked.includes(kind) : kind === 'cpu' || kind === 'webgpu') continue;
    const found = await tried(kind);
    if (found !== undefined) usable.push(kind);
    lines.push(`${kind} (${found ?? 'not usable'})`);
  }
  process.env.ERTACACHE_TEST_BACKENDS = usable.join(',');
  process.stdout.write(`backends under test: ${lines.join(', ')}\n`);
  const missing = asked?.filter(name => !usable.includes(name)) ?? [];
  if (missing.length > 0) throw new Error(`ERTACACHE_TEST_BACKENDS asks for ${missing}, which cannot be used here.`);
}
