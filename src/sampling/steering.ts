import { UnsupportedError } from '../errors';
import { given } from '../io/given';
import type { GuidanceRequest, Pipeline, RunLevels, ScheduleRequest } from './pipeline';

/** Guidance over the whole run. */
const WHOLE: readonly [number, number] = [0, 1];

/** What a model takes of a request's guidance. */
export interface Steered {
  /** Whether the run is guided by two predictions. */
  readonly isGuided: boolean;
  /** Strength of true guidance, where there is one. */
  readonly trueCfgScale?: number | undefined;
  /** Strength of guidance of a second model, where there is one. */
  readonly guidance2?: number | undefined;
  /** Where guidance acts unless asked; in the whole run by default. */
  readonly usualInterval?: readonly [from: number, to: number] | undefined;
}

/** What policies have to be told of a run's guidance beside its strength. */
export function steeringOf(
  { guidance, guidanceInterval }: GuidanceRequest,
  { isGuided, trueCfgScale, guidance2, usualInterval = WHOLE }: Steered,
): Pick<RunLevels, 'steering'> {
  const interval =
    isGuided && guidanceInterval && !same(guidanceInterval, usualInterval) ? guidanceInterval : undefined;
  const second = isGuided && guidance2 !== guidance ? guidance2 : undefined;
  const steering = given({ trueCfgScale, guidance2: second, interval });
  return Object.keys(steering).length > 0 ? { steering } : {};
}

const same = (a: readonly number[], b: readonly number[]): boolean => a.every((value, i) => value === b[i]);

/** An interval that no model has of its own. */
const PROBE: readonly [number, number] = [0.123, 0.789];

/**
 * Whether a negative prompt does something in such a run: some models are steered by none, some guide from a strength on.
 * Nothing is loaded.
 * @throws ErtaError for a size, a number of steps or a picture that the model cannot be run with
 */
export function steersByText(pipeline: Pick<Pipeline, 'schedule'>, run: ScheduleRequest): boolean {
  try {
    // Only the model knows where it is guided; it tells of an interval there and nowhere else.
    const { steering } = pipeline.schedule({ ...run, negativePrompt: 'blur', guidanceInterval: PROBE });
    return steering?.interval !== undefined;
  } catch (error) {
    if (error instanceof UnsupportedError) return false;
    throw error;
  }
}

/** Refuses true guidance, which only models have that are told their guidance: it would be passed over in silence. */
export function refuseTrueGuidance({ trueCfgScale }: GuidanceRequest, id: string): void {
  if (trueCfgScale === undefined) return;
  throw new UnsupportedError(
    `${id} is guided by its guidance alone: true guidance is for models that are told theirs.`,
    {
      hint: 'Omit --true-cfg-scale (trueCfgScale), and say the strength as guidance.',
    },
  );
}

/** Refuses a negative prompt where what is steered away from is no text: it would be passed over in silence. */
export function refuseNegativePrompt({ negativePrompt }: GuidanceRequest, id: string): void {
  if (!negativePrompt) return;
  throw new UnsupportedError(`${id} is steered away from a caption that it has learned, and by no negative prompt.`, {
    hint: 'Omit --negative-prompt (negativePrompt), and say in the prompt what is to be seen.',
  });
}

/** Refuses a second strength of guidance where there is no second model: it would be passed over in silence. */
export function refuseSecondGuidance({ guidance2 }: GuidanceRequest, id: string): void {
  if (guidance2 === undefined) return;
  throw new UnsupportedError(`${id} has one transformer, and so one guidance.`, {
    hint: 'Omit --guidance-2 (guidance2): it is for a pipeline with a transformer_2.',
  });
}
