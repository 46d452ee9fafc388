import { type Sight, type Sightings, sightingsOf } from '../calibration/baselines';
import { across } from '../calibration/in-turn';
import { pairsRequest } from '../calibration/jobs';
import { meanRatios } from '../calibration/magcache-ratios';
import { batches } from '../calibration/pairs';
import { fitPolynomial } from '../calibration/teacache-fit';
import { writeFileAtomic } from '../io/atomic';
import { hasJsonMark, requireOwn } from '../io/own-file';
import { requireWritable } from '../io/writable';
import type { Pair } from '../policy/pair';
import type { BatchRequest, Pipeline } from '../sampling/pipeline';

/** Methods besides ERTACache that need to know something of a model. */
export type BaselineMethod = 'teacache' | 'magcache';

export interface BaselineRun {
  readonly pairs: readonly Pair[];
  readonly steps: number;
  readonly guidance: number;
  readonly batch: number;
  readonly signal: AbortSignal;
  /** Runs a request uncached elsewhere, and says what it shows; it is run here unless given. */
  readonly sight?: FarSight | undefined;
}

/** Those who run requests uncached on other machines, and say what they show. */
export type FarSight = (request: BatchRequest, wanted: readonly Sight[], signal: AbortSignal) => Promise<Sightings>;

/** The mark of a file of measured facts. */
const FORMAT = 'ertacache-baseline';

/** @throws UsageError or IoError when the facts could not be written under this name */
export async function requireFactsWritable(path: string): Promise<void> {
  await requireWritable(path);
  await requireOwn(path, bytes => hasJsonMark(bytes, 'format', FORMAT));
}

/** Measures what a baseline needs, prints it with the quality of the fit, and writes it where a file was named. */
export async function calibrateBaseline(
  pipeline: Pipeline,
  method: BaselineMethod,
  run: BaselineRun,
  out: string | undefined,
): Promise<void> {
  const { steps, guidance, signal } = run;
  const { id, hash } = pipeline.info;
  const facts = method === 'teacache' ? await polynomialOf(pipeline, run) : await ratiosOf(pipeline, run);
  for (const [name, value] of Object.entries(facts)) console.log(`${name.padEnd(13)}${JSON.stringify(value)}`);
  if (!out || signal.aborted) return;
  await requireFactsWritable(out);
  await writeFileAtomic(
    out,
    `${JSON.stringify({ format: FORMAT, method, model: { id, hash }, steps, guidance, ...facts }, null, 2)}\n`,
  );
  console.log(`wrote ${out}`);
}

/** Runs all pairs uncached, and looks for one thing. */
function look(pipeline: Pipeline, run: BaselineRun, wanted: Sight): Promise<Sightings[]> {
  const { pairs, batch, signal } = run;
  const here: FarSight = (request, sights) => sightingsOf(pipeline, request, sights, { signal });
  const { sight = here } = run;
  return across(pipeline, batches(pairs, batch), group => sight(pairsRequest(group, run), [wanted], signal));
}

async function polynomialOf(pipeline: Pipeline, run: BaselineRun) {
  const seen = await look(pipeline, run, 'changes');
  const { coefficients, r2, points } = fitPolynomial(seen.flatMap(({ changes }) => changes));
  return { coefficients, r2, points };
}

async function ratiosOf(pipeline: Pipeline, run: BaselineRun) {
  const seen = await look(pipeline, run, 'ratios');
  return { ratios: meanRatios(seen.map(({ ratios }) => ratios)) };
}
