import { z } from 'zod';
import { UsageError } from '../../errors';
import { count, MOST } from '../../io/counts';
import { lora } from '../../policy/lora';
import { pairSchema } from '../../policy/pair';

/** The value of the field `format`: the mark that a file, and the folder it lies in, is a comparison of ertacache's. */
export const COMPARISON_FORMAT = 'ertacache-comparison';

/** What decides the numbers of a comparison: a run continues only where all of this is the same. */
const request = z.object({
  model: z.object({
    id: z.string(),
    hash: z.string(),
    class: z.string(),
    scheduler: z.string(),
    loras: z.array(lora).optional(),
  }),
  backend: z.string(),
  version: z.string(),
  steps: count(MOST.steps),
  guidance: z.number(),
  /** Size and type of the pictures, where they are not the model's usual ones. */
  picture: z.record(z.string(), z.union([z.number(), z.string()])).default({}),
  kind: z.enum(['methods', 'ablation']),
  methods: z.array(z.string()).min(1),
  budgets: z.array(count(MOST.steps)).min(1),
  /** The method that the others are compared with, pair by pair. */
  against: z.string(),
  calibration: z.array(pairSchema),
  evaluation: z.array(pairSchema).min(1),
  batch: count(MOST.rows),
  /** Schedules that a search may try. */
  trials: count(MOST.trials, 0),
  /** What the worst eighth of the pairs counts in a choice, where it is not the usual weight. */
  worstWeight: z.number().min(0).optional(),
  /** Pairs on which time is measured. */
  timed: count(MOST.pictures, 0),
  /** Hash of the LPIPS weights, null where LPIPS is not computed. */
  lpips: z.string().nullable(),
  /** Policies that were given instead of being calibrated: method, budget and content hash. */
  policies: z.array(z.object({ method: z.string(), computed: z.int(), hash: z.string() })),
});

/** One cached picture against the uncached one of the same prompt and seed: of the 8-bit pixels of both files. */
const pairResult = z.object({
  /** In dB; 100 where no pixel differs. */
  psnr: z.number(),
  /** The same of the pixels in floating point, before they are rounded to 8 bits. */
  floatPsnr: z.number(),
  ssim: z.number(),
  lpips: z.number().optional(),
  /** In 8-bit pixels: the share that differs, and the largest difference of a colour. */
  levels: z.object({ differing: z.number(), largest: z.number() }).optional(),
  /** Steps that computed the model. */
  computed: z.number(),
  /** Full forward passes, what reused steps cost in blocks included. */
  forwards: z.number(),
  /** Sampling time; of a batch, its share. */
  seconds: z.number(),
  /** `#` computed, `.` reused, one character a step of the run. */
  schedule: z.string(),
});

/** Runs of one pair at a time, each beside an uncached one. */
const timing = z.object({
  uncached: z.array(z.number()),
  cached: z.array(z.number()),
});

/** One method at one number of computed steps. */
const cell = z.object({
  method: z.string(),
  /** Computed steps that were asked for. */
  budget: z.int().positive(),
  /** What the method was set to, such as `threshold 0.12`. */
  setting: z.string().optional(),
  /** Forward passes that calibration or tuning cost. */
  preparation: z.number(),
  /** Noise levels of its runs. */
  sigmas: z.array(z.number()),
  pairs: z.array(pairResult),
  /** Bytes that the cache held at most, of one run of one pair. */
  cacheBytes: z.number(),
  /** Floating-point operations of one run of one pair, multiplications and additions of matrix products. */
  flops: z.number().optional(),
  timing: timing.optional(),
});

const method = z.object({
  name: z.string(),
  title: z.string(),
  summary: z.string(),
  source: z.string().optional(),
  /** Decides anew for every picture. */
  dynamic: z.boolean(),
});

const facts = z.object({
  polynomial: z.array(z.number()),
  ratios: z.array(z.number()),
  history: z.array(z.object({ ridge: z.number(), weights: z.array(z.array(z.number())) })),
  r2: z.number(),
  forwards: z.number(),
});

const refusal = z.object({ method: z.string(), budget: z.int(), reason: z.string() });

/** The uncached runs. */
const reference = z.object({
  /** Noise levels, one more than there are steps. */
  sigmas: z.array(z.number()),
  /** How much the output changes at each step, relative to itself, in L1: `[pair][step]`; the first step has none. */
  changes: z.array(z.array(z.number().nullable())),
  /** Sampling time of each pair; of a batch, its share. */
  seconds: z.array(z.number()),
  flops: z.number().optional(),
});

/** What decides the numbers of a comparison, as it is asked of other machines. */
export const comparisonRequestSchema = request;
export const cellSchema = cell;
export const factsSchema = facts;
export const refusalSchema = refusal;
export const referenceSchema = reference;

export const comparisonSchema = z.object({
  format: z.literal(COMPARISON_FORMAT),
  version: z.literal(3),
  state: z.enum(['running', 'complete']),
  /** The command line that made it. */
  command: z.string(),
  /** When it was begun, ISO 8601. */
  started: z.string(),
  machine: z.object({ cpu: z.string(), threads: z.int(), gpus: z.array(z.string()), memoryBytes: z.number() }),
  /** `node`: the version of Node, or what ran in its place, such as `Chromium 156`. */
  versions: z.object({ ertacache: z.string(), node: z.string(), tfjs: z.string(), engine: z.string() }),
  parameters: z.number(),
  request,
  methods: z.array(method),
  /** Measured facts that some methods need; kept so that a continued run uses the same. */
  facts: facts.optional(),
  reference,
  /** Names of the policies that were calibrated for it, each noted before its file is written. */
  calibrated: z.array(z.string()).optional(),
  /** An earlier comparison in this folder whose files are not all removed yet. */
  replaces: z.object({ request, calibrated: z.array(z.string()).optional() }).optional(),
  cells: z.array(cell),
  /** What could not be measured, and why. */
  refused: z.array(refusal),
});

export type Comparison = z.infer<typeof comparisonSchema>;
export type ComparisonRequest = z.infer<typeof request>;
export type Cell = z.infer<typeof cell>;
export type PairResult = z.infer<typeof pairResult>;
export type MethodFacts = z.infer<typeof method>;
export type Timing = z.infer<typeof timing>;

/** @throws UsageError when a file is not a comparison of this version */
export function parseComparison(value: unknown, where: string): Comparison {
  const parsed = comparisonSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new UsageError(
    `${where} is not a comparison of ertacache: ${issue.path.join('.') || 'file'}: ${issue.message}.`,
    {
      hint: 'Choose another --out, or begin anew with --force.',
    },
  );
}

/** The cell of a method at a budget, if it is done. */
export function cellOf(comparison: Comparison, method: string, budget: number): Cell | undefined {
  return comparison.cells.find(c => c.method === method && c.budget === budget);
}

/** What a method is called for people. */
export function titleOf(comparison: Comparison, method: string): string {
  return comparison.methods.find(m => m.name === method)?.title ?? method;
}
