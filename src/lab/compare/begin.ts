import { version_core } from '@tensorflow/tfjs-core';
import { UsageError } from '../../errors';
import { lorasOf } from '../../policy/loras';
import type { Pair } from '../../policy/pair';
import type { PipelineInfo } from '../../sampling/pipeline';
import { VERSION } from '../../version';
import { COMPARISON_FORMAT, type Comparison, type ComparisonRequest } from './comparison';
import type { Contender } from './contender';

/** What a comparison is asked for; the rest of its request follows from the model and the engine. */
export type Asked = Omit<ComparisonRequest, 'model' | 'backend' | 'version' | 'methods'>;

/** Where a comparison runs, and who began it. */
export interface Circumstances {
  /** The backend: its name, and one line about it. */
  readonly engine: { readonly kind: string; readonly label: string };
  /** The command line, or what stands for it. */
  readonly command: string;
  readonly machine: Comparison['machine'];
  /** Version of Node, or what runs in its place. */
  readonly node: string;
}

/** A comparison with everything said and nothing measured. */
export function beginComparison(
  info: PipelineInfo,
  contenders: readonly Contender[],
  asked: Asked,
  { engine, command, machine, node }: Circumstances,
): Comparison {
  requirePossible(asked);
  return {
    format: COMPARISON_FORMAT,
    version: 3,
    state: 'running',
    command,
    started: new Date().toISOString(),
    machine,
    versions: {
      ertacache: VERSION,
      node,
      tfjs: version_core,
      engine: engine.label,
    },
    parameters: info.parameters,
    request: {
      model: {
        id: info.id,
        hash: info.hash,
        class: info.modelClass,
        scheduler: info.schedulerClass,
        ...lorasOf(info),
      },
      backend: engine.kind,
      version: VERSION,
      methods: contenders.map(c => c.name),
      ...asked,
    },
    methods: contenders.map(({ name, title, summary, source, dynamic }) => ({
      name,
      title,
      summary,
      dynamic,
      ...(source && { source }),
    })),
    reference: { sigmas: [], changes: [], seconds: [] },
    cells: [],
    refused: [],
  };
}

/** Fewer steps leave nothing to choose. */
const LEAST_STEPS = 4;
/** With the first step alone, which is always computed, methods do not differ. */
const LEAST_BUDGET = 2;

/** Computed steps that are compared where nobody says which: a half, a third and a fifth. */
export const usualBudgets = (steps: number): number[] => [
  ...new Set([2, 3, 5].map(share => Math.max(LEAST_BUDGET, Math.round(steps / share)))),
];

function requirePossible({ steps, budgets, calibration, evaluation }: Asked): void {
  if (steps < LEAST_STEPS)
    throw new UsageError(`A comparison needs at least ${LEAST_STEPS} steps; ${steps} were asked for.`);
  const bad = budgets.find(b => b < LEAST_BUDGET || b >= steps);
  if (bad !== undefined) {
    throw new UsageError(`${bad} of ${steps} steps cannot be the computed ones.`, {
      hint: `Give budgets from ${LEAST_BUDGET} to ${steps - 1}.`,
    });
  }
  requireApart(calibration, evaluation, 'calibration');
}

/**
 * Refuses to compare on what something was calibrated on.
 * @throws UsageError naming a prompt, or a seed, that both have
 */
export function requireApart(calibration: readonly Pair[], evaluation: readonly Pair[], what: string): void {
  const hint = 'Give more prompts, or a policy that was calibrated on other ones.';
  // The empty prompt is one for all: there is no other to compare on.
  const prompts = new Set(calibration.map(p => p.prompt).filter(prompt => prompt !== ''));
  const both = evaluation.find(p => prompts.has(p.prompt));
  if (both) throw new UsageError(`"${both.prompt}" is compared on, but ${what} has seen it.`, { hint });
  const seeds = new Set(calibration.map(p => p.seed));
  const noise = evaluation.find(p => seeds.has(p.seed));
  if (noise) {
    throw new UsageError(`The noise of seed ${noise.seed} is compared on, but ${what} has seen it.`, {
      hint: 'Compare on fewer pairs, or calibrate the policy again.',
    });
  }
}
