import { z } from 'zod';
import { placeOf, rectificationAt } from '../cache/by-guidance';
import type { ErtaSettings } from '../cache/ertacache';
import type { Rectification } from '../cache/rectify';
import { PolicyError } from '../errors';
import { boundSchema } from './bound';
import { lora, type PolicyLora } from './lora';
import { pairSchema, promptGroup } from './pair';
import { requireSameSteering, steering } from './steering';

const spread = z.object({ mean: z.number(), min: z.number(), std: z.number() });

/** Fidelity of cached outputs against uncached ones of the same prompts and seeds. */
const fidelity = z.object({
  /** How many pairs were measured. */
  pairs: z.int().nonnegative(),
  /** Of the 8-bit pixels of the files, in dB; of floating-point pixels where `floatPsnr` is absent. */
  psnr: spread,
  /** Of the pixels before they are rounded to 8 bits, in dB. */
  floatPsnr: spread.optional(),
  /** PSNR that a tenth and a half of the pairs do not reach. */
  quantiles: z.object({ tenth: z.number(), median: z.number() }).optional(),
  /** Shares of the pairs below 40 and 30 dB. */
  below40: z.number().min(0).max(1).optional(),
  below30: z.number().min(0).max(1).optional(),
  /** At most 1. */
  ssim: spread,
});

/** `calibration/*.json`: everything about a policy but the rectification's coefficients. */
export const policySchema = z.object({
  format: z.literal('ertacache-policy'),
  version: z.literal(1),
  /** Name of the method, such as `ertacache` or `ertacache-paper`. */
  name: z.string().min(1),
  model: z.object({
    id: z.string(),
    /** Of the weights without what was merged into them. */
    hash: z.string(),
    class: z.string(),
    /** LoRAs that were merged, in their order. */
    loras: z.array(lora).optional(),
  }),
  scheduler: z.string(),
  guidance: z.number(),
  /** Every guidance from one to another is served: the weights depend on it. */
  guidanceRange: z.object({ from: z.number().positive(), to: z.number().positive() }).optional(),
  /** How it was guided beside that; absent where all was as usual for the model. */
  steering: steering.optional(),
  /** Base noise levels, length N + 1. */
  sigmas: z.array(z.number().min(0)).min(5),
  /** One character a step: `#` computed, `.` reused. */
  schedule: z.string().regex(/^#[#.]*$/, 'must be made of # and . and begin with #'),
  site: z.enum(['hidden', 'output', 'velocity']),
  taylor: z.number().min(0).max(1),
  timestep: z.object({
    form: z.enum(['off', 'global', 'cycle', 'levels']),
    phi: z.array(z.number().min(0).max(1)),
    /** Noise levels of the form `levels`, length N + 1. */
    levels: z.array(z.number().min(0)).optional(),
  }),
  rectify: z.object({
    form: z.enum(['off', 'linear', 'sigmoid', 'lsq']),
    /** Axis of the latent that per-channel coefficients run along. */
    channelAxis: z.int().nonnegative().optional(),
    /** Terms that the least-squares form weighs, in the order of the file's columns. */
    terms: z.array(z.string()).optional(),
    /** The file beside this one that holds the coefficients. */
    file: z
      .string()
      .regex(/^[^/\\]+\.safetensors$/, 'must be a file name beside the policy')
      .optional(),
    sha256: z.string().optional(),
  }),
  search: z.object({
    method: z.string(),
    lambda: z.number().positive().optional(),
    /** What the worst eighth of the pairs counted beside their mean. */
    worstWeight: z.number().min(0).optional(),
    note: z.string().optional(),
  }),
  calibration: z.object({
    pairs: z.array(pairSchema),
    /** Rows of starting noise, where a function was calibrated, which knows no prompts. */
    rows: z.int().positive().optional(),
    forwards: z.int().nonnegative(),
    /** How far guidance's two outputs lay apart at a step before any is reused: the least and the most. */
    gap: z.object({ step: z.int().nonnegative(), from: z.number().min(0), to: z.number().min(0) }).optional(),
  }),
  measured: z.object({
    calibration: fidelity.optional(),
    /** Of ordinary prompts. */
    heldOut: fidelity.optional(),
    /** Of unusual prompts, kind by kind. */
    groups: z.partialRecord(promptGroup, fidelity).optional(),
  }),
  /** What its pictures keep at least. */
  bound: boundSchema.optional(),
  /** Hash of all that decides, by which a file that has changed since it was written is told; not of what was measured, bounds included. */
  hash: z.string().optional(),
});

/** What a policy's JSON holds: everything but the rectification's coefficients. */
export type PolicyData = z.infer<typeof policySchema>;
/** Mean, worst and spread of likeness over pairs; PSNR in dB. */
export type Fidelity = z.infer<typeof fidelity>;

/** A policy whole: its file and its coefficients. */
export interface Policy {
  /** What its JSON file holds. */
  readonly data: PolicyData;
  /** The coefficients of its correction. */
  readonly rectify: Rectification;
  /**
   * Where its file holds more than one: the policies of all budgets, this one too, from the fewest computed steps to the
   * most. They are of one model and one run. `atBudget` chooses among them.
   */
  readonly budgets?: readonly Policy[] | undefined;
}

/** How many steps of a schedule are computed. */
export const computedSteps = (reused: readonly boolean[]): number => reused.filter(r => !r).length;

/** `true` where a step is reused. */
export function reusedOf(schedule: string): boolean[] {
  return [...schedule].map(c => c === '.');
}

/** `#` computed, `.` reused. */
export function scheduleOf(reused: readonly boolean[]): string {
  return reused.map(r => (r ? '.' : '#')).join('');
}

/** Checks a policy's parts against each other. @throws PolicyError naming the field */
export function parsePolicy(value: unknown, where: string): PolicyData {
  const parsed = policySchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new PolicyError(
      `${where} is not a policy of ertacache: ${issue.path.join('.') || 'file'}: ${issue.message}.`,
      {
        hint: 'Make one with `ertacache calibrate`.',
      },
    );
  }
  const { sigmas, schedule, timestep } = parsed.data;
  const steps = sigmas.length - 1;
  const fault =
    schedule.length !== steps
      ? `its schedule has ${schedule.length} steps and its noise levels ${steps}`
      : isFalling(sigmas)
        ? (timesFault(timestep, sigmas) ?? boundFault(parsed.data) ?? rangeFault(parsed.data))
        : 'its noise levels do not fall';
  if (fault) throw new PolicyError(`${where} contradicts itself: ${fault}.`, { hint: 'Calibrate it again.' });
  return parsed.data;
}

const isFalling = (levels: readonly number[]): boolean =>
  levels.every((level, i) => i === 0 || level < (levels[i - 1] as number));

/** An adjustment of times has a value for each step, or levels between the two ends of the run. */
function timesFault({ form, phi, levels }: PolicyData['timestep'], sigmas: readonly number[]): string | undefined {
  const steps = sigmas.length - 1;
  if (form === 'off') return undefined;
  if (form !== 'levels') {
    return phi.length === steps ? undefined : `its timestep adjustment has ${phi.length} values for ${steps} steps`;
  }
  if (levels?.length !== steps + 1) return `it moves ${levels?.length ?? 0} noise levels of ${steps + 1}`;
  if (!isFalling(levels)) return 'the noise levels that it moves to do not fall';
  const isEnd = (i: number): boolean => Math.abs((levels.at(i) as number) - (sigmas.at(i) as number)) < SAME_SIGMA;
  return isEnd(0) && isEnd(-1) ? undefined : 'the noise levels that it moves to have other ends';
}

/** A bound can look at steps only that are computed. */
function boundFault({ bound, schedule }: PolicyData): string | undefined {
  const wrong = bound?.each?.terms.find(({ step }) => schedule[step] !== '#');
  return wrong && `its bound looks at step ${wrong.step + 1}, which is not computed`;
}

function rangeFault({ guidance, guidanceRange: range }: PolicyData): string | undefined {
  if (!range || (range.from < range.to && guidance >= range.from && guidance <= range.to)) return undefined;
  return `its guidance ${guidance} is not between ${range.from} and ${range.to}`;
}

/** The correction of a policy at a guidance of its range; of a policy of one guidance, the one that it has. */
export function correctionAt({ data, rectify }: Pick<Policy, 'data' | 'rectify'>, guidance: number): Rectification {
  const { guidanceRange } = data;
  return guidanceRange ? rectificationAt(rectify, placeOf(guidance, guidanceRange)) : rectify;
}

/**
 * The settings of the cache that a policy describes.
 * @param policy a calibrated policy
 * @param guidance that of the run, for policies of a range; the policy's own by default
 * @returns the settings, as `ertacache` takes them
 */
export function policySettings({ data, rectify }: Policy, guidance = data.guidance): ErtaSettings {
  return {
    name: data.name,
    reused: reusedOf(data.schedule),
    site: data.site,
    taylor: data.taylor,
    timestep: data.timestep,
    rectify: correctionAt({ data, rectify }, guidance),
    familiar: data.calibration.gap ?? data.bound?.gap,
    // It was measured at the policy's own guidance, and says nothing of others.
    bound: Math.abs(guidance - data.guidance) < 1e-6 ? data.bound : undefined,
  };
}

/** The run that a policy is asked to serve. */
export interface PolicyUse {
  /** The model: its name for messages, its content hash, and the LoRAs that were merged into it. */
  readonly model: {
    readonly id: string;
    readonly hash: string;
    readonly loras?: readonly PolicyLora[];
  };
  /** Class or name of the scheduler. */
  readonly scheduler: string;
  /** Strength of guidance; 1 is none. */
  readonly guidance: number;
  /** How the run is guided beside that; absent where all is as usual for the model. */
  readonly steering?: PolicyData['steering'];
  /** Of the whole schedule, also where a run takes only the last of its steps. */
  readonly sigmas: readonly number[];
  /** Steps at the beginning that are not taken, where a run begins with a picture. */
  readonly skipped?: number;
}

/** Noise levels that differ by less are the same schedule. */
export const SAME_SIGMA = 1e-4;

/**
 * Refuses a policy for a run that it was not calibrated for: coefficients of another model, sampler or guidance are a
 * classic, silent fault.
 * @param policy the policy's data
 * @param use the run
 * @throws PolicyError saying what differs and what to do
 */
export function requireFits(policy: PolicyData, use: PolicyUse): void {
  const refuse = (message: string, hint: string): never => {
    throw new PolicyError(message, { hint });
  };
  const again = 'Calibrate one with `ertacache calibrate`.';
  if (policy.model.hash !== use.model.hash) {
    refuse(
      `The policy was calibrated for the model "${policy.model.id}" (${policy.model.hash.slice(0, 12)}), not for "${use.model.id}" (${use.model.hash.slice(0, 12)}).`,
      again,
    );
  }
  if (policy.scheduler !== use.scheduler) {
    refuse(`The policy was calibrated with ${policy.scheduler}, and this run uses ${use.scheduler}.`, again);
  }
  const [steps, asked] = [policy.sigmas.length - 1, use.sigmas.length - 1];
  if (steps !== asked) {
    refuse(
      `The policy is for ${steps} steps, and this run has ${asked}.`,
      `Run ${steps} steps (--steps ${steps}), or make one for ${asked} steps with \`ertacache policy resample\`.`,
    );
  }
  if (policy.sigmas.some((s, i) => Math.abs(s - (use.sigmas[i] as number)) > SAME_SIGMA)) {
    refuse('The policy was calibrated on another noise schedule (another shift).', again);
  }
  const { guidanceRange: range } = policy;
  if (range && (use.guidance < range.from - 1e-6 || use.guidance > range.to + 1e-6)) {
    refuse(
      `The policy was calibrated for guidance from ${range.from} to ${range.to}, and this run uses ${use.guidance}.`,
      `Run at a guidance in that range, or calibrate at ${use.guidance}.`,
    );
  }
  if (!range && Math.abs(policy.guidance - use.guidance) > 1e-6) {
    refuse(
      `The policy was calibrated at guidance ${policy.guidance}, and this run uses ${use.guidance}.`,
      `Run at guidance ${policy.guidance} (--guidance ${policy.guidance}), or calibrate at ${use.guidance}.`,
    );
  }
  requireSameSteering(policy.steering, use.steering);
}
