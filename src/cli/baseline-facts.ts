import { inBatches } from '../calibration/jobs';
import { ratioRecord } from '../calibration/magcache-ratios';
import { observeRuns, pairsOf } from '../calibration/observe';
import { changeRecord, fitPolynomial } from '../calibration/teacache-fit';
import { writeFileAtomic } from '../io/atomic';
import { hasJsonMark, requireOwn } from '../io/own-file';
import { requireWritable } from '../io/writable';
import type { Pair } from '../policy/pair';
import type { Pipeline } from '../sampling/pipeline';

/** Methods besides ERTACache that need to know something of a model. */
export type BaselineMethod = 'teacache' | 'magcache';

export interface BaselineRun {
  readonly pairs: readonly Pair[];
  readonly steps: number;
  readonly guidance: number;
  readonly batch: number;
  readonly signal: AbortSignal;
}

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

async function polynomialOf(pipeline: Pipeline, run: BaselineRun) {
  const changes = changeRecord();
  await inBatches(pipeline, run.pairs, run, job =>
    observeRuns([job], j => changes.observer(pairsOf(j)), { signal: run.signal }),
  );
  const { coefficients, r2, points } = fitPolynomial(changes.points());
  return { coefficients, r2, points };
}

async function ratiosOf(pipeline: Pipeline, run: BaselineRun) {
  const record = ratioRecord();
  await inBatches(pipeline, run.pairs, run, job => observeRuns([job], record.observer, { signal: run.signal }));
  return { ratios: record.ratios() };
}
