import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Location } from './locate';
import { lastLines, run } from './run';

/** What to try in a child process. */
export interface ProbeRequest extends Location {
  /** Also measure matMul. */
  measure?: boolean;
}

/** What the child found: `error` is set when the backend does not work. */
export interface ProbeResult {
  error?: string;
  version?: string;
  gpu?: boolean;
  gflops?: number;
}

/** Loads a backend in a child process, checks a few operations against known numbers, and measures it if asked to. */
export async function probe(request: ProbeRequest, timeout = 60_000): Promise<ProbeResult> {
  const core = createRequire(__filename).resolve('@tensorflow/tfjs-core');
  const script = join(__dirname, 'probe-child.cjs');
  if (!existsSync(script)) return { error: `the probe is missing (${script})` };
  const env = { TF_CPP_MIN_LOG_LEVEL: '3', TF_FORCE_GPU_ALLOW_GROWTH: 'true', ...process.env };
  const result = await run(process.execPath, [script, JSON.stringify({ core, ...request })], { env, timeout });
  try {
    return JSON.parse(lastLines(result.stdout, 1)) as ProbeResult;
  } catch {
    const how = result.signal ? `was stopped by ${result.signal}` : `ended with code ${result.code}`;
    return { error: [`its process ${how}`, lastLines(result.stderr, 1)].filter(Boolean).join(': ') };
  }
}
