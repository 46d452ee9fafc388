import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomic } from '../io/atomic';
import { type FusedName, fusedNames } from '../nn/fused';
import { type Trial, trialInput, trials } from './fused-trials';
import { linksFolder } from './link/record';
import type { Location } from './locate';
import { tryOps } from './probe';

/** How far a result may lie from double arithmetic, by its largest value, where a trial does not say otherwise. */
const TOLERANCE = 1e-5;
/** Of a long result every so many values are compared. */
const STRIDE = 7;

/**
 * The operations of TensorFlow's own that give the right numbers here: each is run in a child process, which may die
 * of it. What was found for sure is kept for this version of TensorFlow and this processor. `ERTACACHE_FUSED=0` allows none.
 */
export async function usableFused(location: Location, version: string, env: NodeJS.ProcessEnv): Promise<FusedName[]> {
  if (env.ERTACACHE_FUSED === '0') return [];
  const key = createHash('sha256')
    .update(JSON.stringify([version, location.module, cpus()[0]?.model, trials]))
    .digest('hex')
    .slice(0, 16);
  const file = join(linksFolder(env), `fused-${key}.json`);
  const known = readKnown(file);
  if (known) return known;
  const { usable, isSure } = await tryAll(location);
  if (!isSure) return usable;
  try {
    await writeFileAtomic(file, JSON.stringify({ tensorflow: version, usable }));
  } catch {
    // A folder that cannot be written costs a second at every start, no more.
  }
  return usable;
}

function readKnown(file: string): FusedName[] | undefined {
  try {
    const { usable } = JSON.parse(readFileSync(file, 'utf8')) as { usable: unknown };
    return Array.isArray(usable) ? fusedNames.filter(name => usable.includes(name)) : undefined;
  } catch {
    return undefined;
  }
}

interface Found {
  readonly usable: FusedName[];
  /** Whether another try would find the same, as far as anybody can tell. */
  readonly isSure: boolean;
}

/** Goes on in a new child after every trial that ended one. */
async function tryAll(location: Location): Promise<Found> {
  const failed = new Set<FusedName>();
  let isSure = true;
  let rest = [...trials];
  while (rest.length > 0) {
    const ran = await tryOps(location, rest, STRIDE);
    if (!ran) return { usable: [], isSure: false };
    const { results, isStopped } = ran;
    const untried = rest.slice(results.length);
    // Not in a further child: what stopped this one, a machine without time or memory, would stop that as well.
    const isOver = isStopped && untried.length > 0;
    rest.forEach((trial, i) => {
      const values = results[i];
      if ((isOver || i <= results.length) && !(values && isRight(trial, values))) failed.add(trial.name);
    });
    if (isOver) isSure = false;
    // The one after the last result is what ended the child.
    rest = isOver ? [] : untried.slice(1).filter(({ name }) => !failed.has(name));
  }
  return { usable: fusedNames.filter(name => !failed.has(name)), isSure };
}

function isRight(trial: Trial, values: readonly number[]): boolean {
  const { tolerance = TOLERANCE } = trial;
  const expected = trial.expected(trial.shapes.map(trialInput), trial.shapes).filter((_, i) => i % STRIDE === 0);
  const most = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  return values.length === expected.length && values.every((v, i) => Math.abs(v - expected[i]!) <= tolerance * most);
}
