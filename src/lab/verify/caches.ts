import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { firstBlock } from '../../cache/first-block';
import { magcache, nearestRatios } from '../../cache/magcache';
import { none } from '../../cache/none';
import type { CachePolicy } from '../../cache/policy';
import { taylorseer } from '../../cache/taylorseer';
import { teacache } from '../../cache/teacache';
import { ratioRecord } from '../../calibration/magcache-ratios';
import { observed } from '../../calibration/observe';
import { CheckpointError } from '../../errors';
import { openFile } from '../../io/node-file';
import { parseConfig } from '../../io/parse-config';
import { familyOf } from '../../models/families';
import type { FluxCondition } from '../../models/flux/transformer';
import { publishedPolynomial } from '../../models/polynomials';
import { release } from '../../nn/scope';
import { denoiserBranch, single, unguided } from '../../sampling/guidance';
import { sampleLoop } from '../../sampling/sample-loop';
import {
  createFlowMatchEuler,
  flowMatchEulerConfig,
  flowMatchEulerGrid,
  linspace,
} from '../../schedulers/flow-match-euler';
import { loadStore } from '../../weights/load';
import type { WeightStore } from '../../weights/parameters';
import { safetensorsSource } from '../../weights/safetensors-source';
import type { CaseRunner, GoldenCase } from './golden-case';
import { joined, valuesOf } from './values-of';

/** The arguments of a case, named as the references name them. */
const callSchema = z.object({
  num_inference_steps: z.int().positive(),
  mu: z.number(),
  scheduler: flowMatchEulerConfig,
  method: z.enum(['none', 'teacache', 'first_block_cache', 'mag_cache', 'taylorseer']),
  weights_from: z.string().default('weights.safetensors'),
  rel_l1_thresh: z.number().optional(),
  threshold: z.number().optional(),
  max_skip_steps: z.number().optional(),
  retention_ratio: z.number().optional(),
  calibrate: z.boolean().default(false),
  mag_ratios: z.array(z.number()).nullish(),
  cache_interval: z.number().optional(),
  disable_cache_before_step: z.number().optional(),
  disable_cache_after_step: z.number().nullish(),
  max_order: z.number().optional(),
  use_lite_mode: z.boolean().optional(),
});

type Call = z.infer<typeof callSchema>;

/** Outputs that grow step by step. */
type Log = Map<string, (Iterable<number> | Promise<ArrayLike<number>>)[]>;

function append(log: Log, name: string, values: Iterable<number> | Promise<ArrayLike<number>>): void {
  log.set(name, [...(log.get(name) ?? []), values]);
}

/** The policy of a case, its signals logged under the case's names. */
function policyOf(call: Call, log: Log): CachePolicy {
  switch (call.method) {
    case 'none':
      return none();
    case 'teacache':
      return teacache({
        threshold: call.rel_l1_thresh ?? Number.NaN,
        coefficients: publishedPolynomial('flux-dev'),
        onSignal(_step, signal) {
          append(log, 'rel_l1', [signal.relL1]);
          append(log, 'rescaled', [signal.rescaled]);
          append(log, 'accumulated', [signal.accumulated]);
          append(log, 'accumulated_after', [signal.accumulatedAfter]);
          append(log, 'modulated_input_steps', valuesOf(signal.modulated));
        },
      });
    case 'first_block_cache':
      return firstBlock({
        threshold: call.threshold ?? Number.NaN,
        onSignal: (_step, change) => append(log, 'head_residual_rel_diff', [change]),
      });
    case 'mag_cache': {
      const ratios = call.mag_ratios ?? [];
      if (!call.calibrate) append(log, 'mag_ratios', nearestRatios(ratios, call.num_inference_steps));
      return magcache({
        threshold: call.threshold ?? Number.NaN,
        ratios,
        maxSkipSteps: call.max_skip_steps,
        retentionRatio: call.retention_ratio,
        onSignal: (_step, s) =>
          append(log, 'accumulated_before_decision', s ? [s.ratio, s.error, s.skipped] : [-1, -1, -1]),
      });
    }
    case 'taylorseer':
      return taylorseer({
        interval: call.cache_interval,
        order: call.max_order,
        warmUp: call.disable_cache_before_step,
        coolDown: call.disable_cache_after_step ?? undefined,
        lite: call.use_lite_mode,
      });
  }
}

/** Runs a case of the group `caches`: the sampling loop with the case's policy, every step handed over. */
export const runCache: CaseRunner = async (golden, produce) => {
  const call = parseConfig(callSchema, golden.call, `The call of ${golden.name}`);
  const grid = flowMatchEulerGrid(call.scheduler, {
    steps: call.num_inference_steps,
    sigmas: linspace(1, 1 / call.num_inference_steps, call.num_inference_steps),
    mu: call.mu,
  });
  produce('timesteps', grid.timesteps);
  produce('sigmas', grid.sigmas);

  const log: Log = new Map();
  const measured = ratioRecord();
  const policy = call.calibrate ? observed(measured.observer) : policyOf(call, log);
  const store = await storeOf(golden, call.weights_from);
  const latents = tensor(golden, 'latents');
  const condition = conditionOf(golden);
  let context: unknown;
  try {
    const model = familyOf(golden.className).create(configOf(golden), store);
    context = model.prepare(condition, latents.shape);
    const final = await sampleLoop(
      {
        branches: [denoiserBranch({ name: 'only', model, context, expand: single })],
        guide: {
          ...unguided,
          combine(parts, step) {
            append(log, 'noise_pred_steps', valuesOf(parts[0] as tf.Tensor));
            return unguided.combine(parts, step);
          },
        },
        solver: createFlowMatchEuler(call.scheduler, grid),
        latents,
      },
      policy,
      {
        onStep({ decisions }, sample) {
          append(log, 'decisions', [decisions[0] === 'compute' ? 1 : 0]);
          append(log, 'latents_steps', valuesOf(sample));
        },
      },
    );
    produce('latents', final.latents);
    final.latents.dispose();
    for (const [name, parts] of log) {
      produce(name, await joined(parts));
    }
    if (call.calibrate) produce('calibrated_ratios', measured.ratios());
  } finally {
    release([context, latents, condition]);
    store.dispose();
  }
};

function configOf(golden: GoldenCase): unknown {
  return parseConfig(familyOf(golden.className).schema, golden.config, join(golden.folder, 'config.json'));
}

async function storeOf(golden: GoldenCase, file: string): Promise<WeightStore> {
  const { parameters, blockNames } = familyOf(golden.className);
  const config = configOf(golden);
  const path = join(golden.folder, file);
  const source = await safetensorsSource(await openFile(path));
  try {
    return await loadStore(source, parameters(config), { blocks: blockNames(config), where: path });
  } finally {
    await source.close();
  }
}

function conditionOf(golden: GoldenCase): FluxCondition {
  return {
    encoderHiddenStates: tensor(golden, 'encoder_hidden_states'),
    pooledProjections: tensor(golden, 'pooled_projections'),
    imgIds: rows(golden, 'img_ids'),
    txtIds: rows(golden, 'txt_ids'),
    ...(golden.inputs.has('guidance') && { guidance: [...input(golden, 'guidance').data] }),
  };
}

function input(golden: GoldenCase, name: string) {
  const found = golden.inputs.get(name);
  if (found) return found;
  throw new CheckpointError('missing_key', `The case ${golden.name} has no input in.${name}.`);
}

function tensor(golden: GoldenCase, name: string): tf.Tensor {
  const { data, shape } = input(golden, name);
  return tf.tensor(data, [...shape]);
}

function rows(golden: GoldenCase, name: string): number[][] {
  const { data, shape } = input(golden, name);
  const width = shape.at(-1) as number;
  return Array.from({ length: data.length / width }, (_, i) => [...data.subarray(i * width, (i + 1) * width)]);
}
