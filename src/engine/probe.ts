import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Trial } from './fused-trials';
import type { Location } from './locate';
import { lastLines, type RunResult, run } from './run';

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
  /** Whether the processor plays the GPU. */
  software?: boolean;
  gflops?: number;
}

/** Loads a backend in a child process, checks a few operations against known numbers, and measures it if asked to. */
export async function probe(request: ProbeRequest, timeout = 60_000): Promise<ProbeResult> {
  const result = await runChild(request, timeout);
  if (result === undefined) return { error: `the probe is missing (${SCRIPT})` };
  try {
    return JSON.parse(lastLines(result.stdout, 1)) as ProbeResult;
  } catch {
    const how = result.signal ? `was stopped by ${result.signal}` : `ended with code ${result.code}`;
    return { error: [`its process ${how}`, lastLines(result.stderr, 1)].filter(Boolean).join(': ') };
  }
}

/** What a child process said of trials. */
export interface TrialRun {
  /** Every so many values of each result, null where TensorFlow refused one; up to the one that ended the child. */
  readonly results: readonly (number[] | null)[];
  /** Whether the child was stopped from outside, after too long a time or for want of memory: no fault of a trial. */
  readonly isStopped: boolean;
}

/**
 * Runs trials of TensorFlow's own operations in a child process, until one of them ends it.
 * @returns every `stride`th value of the results; undefined when the backend could not even be opened
 */
export async function tryOps(
  location: Location,
  trials: readonly Trial[],
  stride: number,
  timeout = 60_000,
): Promise<TrialRun | undefined> {
  const ended = await runChild({ ...location, trials, stride }, timeout);
  const marked = ended?.stdout.split('\n').filter(line => line.startsWith(TRIAL)) ?? [];
  const told = marked.map(line => parsed(line.slice(TRIAL.length)));
  // A child that is ended while it writes leaves half a line: that trial told nothing.
  const cut = told.indexOf(undefined);
  const [begun, ...results] = cut === -1 ? told : told.slice(0, cut);
  if (!ended || begun === undefined) return undefined;
  return {
    results: results as (number[] | null)[],
    isStopped: ended.signal !== null && FROM_OUTSIDE.includes(ended.signal),
  };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Signals that no operation gives itself. */
const FROM_OUTSIDE: readonly NodeJS.Signals[] = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP'];
const SCRIPT = join(__dirname, 'probe-child.cjs');
const TRIAL = 'trial ';

async function runChild(request: object, timeout: number): Promise<RunResult | undefined> {
  if (!existsSync(SCRIPT)) return undefined;
  const core = createRequire(__filename).resolve('@tensorflow/tfjs-core');
  const env = { TF_CPP_MIN_LOG_LEVEL: '3', TF_FORCE_GPU_ALLOW_GROWTH: 'true', ...process.env };
  return run(process.execPath, [SCRIPT, JSON.stringify({ core, ...request })], { env, timeout });
}
