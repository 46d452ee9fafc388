import { none } from '../../cache/none';
import { dense, type Media } from '../../media/pixels';
import type { Pipeline } from '../../sampling/pipeline';
import { runRequest } from '../../sampling/run-job';

/** What a short run of a model shows of a backend. */
export interface Trial {
  /** Time of a step once everything is compiled. */
  readonly seconds: number;
  readonly media: Media;
}

/** The first step also compiles. */
const STEPS = 3;

/** Runs a model for a few steps. */
export async function tryOut(pipeline: Pipeline, signal?: AbortSignal): Promise<Trial> {
  const { defaults, prompts } = pipeline.info;
  const { media, steps } = await runRequest(
    pipeline,
    { prompts: [prompts[0] ?? ''], seeds: [0], steps: STEPS, guidance: defaults.guidance },
    none(),
    { signal },
  );
  return { seconds: Math.min(...steps.slice(1).map(step => step.seconds)), media: media[0]! };
}

/** How far, on average, values 0 … 1 may differ between backends that both compute right. */
const SAME = 0.01;
/** A backend that is faster by less is not worth what it costs to load. */
const FASTER = 0.8;

/** Why a backend is not to be taken in place of the usual one; nothing where it is. */
export function objectionTo(trial: Trial, usual: Trial): string | undefined {
  const [a, b] = [dense(trial.media), dense(usual.media)];
  const difference = a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length;
  if (!(difference <= SAME)) return 'it draws another picture';
  if (trial.seconds > FASTER * usual.seconds) {
    const [own, other] = [trial, usual].map(({ seconds }) => `${(1000 * seconds).toFixed(0)} ms`);
    return `a step takes ${own}, and ${other} on WebAssembly`;
  }
  return undefined;
}
