import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { uniform, uniformReuse } from '../../../src/cache/uniform';
import { parseConfig } from '../../../src/io/parse-config';
import { exportModel } from '../../../src/lab/export/export-model';
import type { GoldenCase } from '../../../src/lab/verify/golden-case';
import { conditionOf } from '../../../src/lab/verify/transformers';
import { familyOf } from '../../../src/models/families';
import { knownTables } from '../../../src/models/known-tables';
import { release } from '../../../src/nn/scope';
import { denoiserBranch, single, unguided } from '../../../src/sampling/guidance';
import { sampleLoop } from '../../../src/sampling/sample-loop';
import { createFlowMatchEuler, flowMatchEulerConfig } from '../../../src/schedulers/flow-match-euler';
import type { Denoiser } from '../../../src/transformer/denoiser';
import { forward } from '../../../src/transformer/run';
import { velocityOnly } from '../../../src/transformer/velocity-only';
import { openModelAt } from '../../../src/weights/disk';
import { loadStore } from '../../../src/weights/load';
import { componentOf } from '../../../src/weights/open-model';
import { goldenCases } from '../../models/golden';
import { describeOnBackends } from '../../support/backends';
import { maxAbsDifference } from '../../support/golden';
import { type Answer, doubledInputs, graphInputs, graphOutput, plain, resized, withoutDefaults } from './support';

const cases = goldenCases('transformers');
const STEPS = 5;
const COMPUTED = 2;
const sigmas = Array.from({ length: STEPS + 1 }, (_, i) => Math.fround(1 - i / STEPS));
/** Float32 sums in another order, through five steps; of the largest value. */
const SAME_SUMS = 1e-4;

let scratch: string;
const answers = new Map<string, Map<string, Answer>>();
const folderOf = ({ name }: GoldenCase): string => join(scratch, name);
const weightsOf = ({ folder }: GoldenCase): string => join(folder, 'weights.safetensors');

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'ertacache-export-'));
  for (const golden of cases) {
    const options = { dtype: 'float32', tableOf: knownTables, split: true } as const;
    await exportModel(weightsOf(golden), folderOf(golden), options);
  }
  const ask = (name: string, backend: 'cpu' | 'wasm', jobOf: (golden: GoldenCase) => object): void => {
    const given = plain(backend, cases.map(jobOf));
    answers.set(name, new Map(cases.map((golden, i) => [golden.name, given[i]!])));
  };
  const atTwoSizes = (golden: GoldenCase) => {
    const inputs = graphInputs(golden);
    const calls = [inputs, doubledInputs(inputs)].map(given => ({ inputs: given, outputs: 'output' }));
    return { folder: folderOf(golden), calls };
  };
  ask('cpu', 'cpu', atTwoSizes);
  ask('wasm', 'wasm', atTwoSizes);
  ask('resized', 'wasm', golden => {
    const inputs = withoutDefaults(graphInputs(resized(golden)));
    return { folder: folderOf(golden), calls: [{ inputs, outputs: 'output' }] };
  });
  ask('cached', 'wasm', golden => {
    const { sample: latents, timestep: _, ...conditions } = graphInputs(golden);
    return { folder: folderOf(golden), run: { conditions, latents, sigmas, reused: uniformReuse(STEPS, COMPUTED) } };
  });
}, 600_000);
afterAll(() => rm(scratch, { recursive: true }));

describe.each(cases)('$name as a graph', golden => {
  test.each(['cpu', 'wasm'])('gives the output of the reference in plain tfjs on %s, at two batch sizes', backend => {
    const { values: expected, tolerance } = graphOutput(golden);
    const { results, leaked, inputs } = answers.get(backend)!.get(golden.name)!;
    const [once, twice] = results as [number[], number[]];
    expect(maxAbsDifference(once, expected)).toBeLessThanOrEqual(tolerance);
    expect(maxAbsDifference(twice, [...expected, ...expected])).toBeLessThanOrEqual(tolerance);
    expect(leaked).toBe(0);
    expect(inputs.sample!.tensorShape.dim[0]).toEqual({ size: '-1' });
  });
});

describeOnBackends('an exported graph', () => {
  test.each(cases)('$name is read by ertacache from the same files', async golden => {
    const [exported, original] = await Promise.all([openModelAt(folderOf(golden)), openModelAt(weightsOf(golden))]);
    const table = knownTables(golden.className, golden.config)!;
    const [ours, theirs] = await Promise.all(
      [exported, original].map(model => loadStore(componentOf(model, 'model').source, table)),
    );
    for (const { name } of table) {
      expect(await ours!.resident.tensor(name).data()).toEqual(await theirs!.resident.tensor(name).data());
    }
    for (const held of [ours!, theirs!]) held.dispose();
    await Promise.all([exported.close(), original.close()]);
  });

  test.each(cases)(
    '$name does what the model does at other sizes, with what may be left out left out',
    async golden => {
      const { results } = answers.get('resized')!.get(golden.name)!;
      const values = await withModel(resized(golden), async ({ model, context, latents, timesteps }) => {
        const output = await forward(model, latents, timesteps, context);
        const read = output.dataSync<'float32'>().slice();
        output.dispose();
        return read;
      });
      const scale = Math.max(1, ...values.map(Math.abs));
      expect(maxAbsDifference(results[0]!, values) / scale).toBeLessThan(SAME_SUMS);
    },
  );

  test.each(cases)('$name in three parts, cached in plain tfjs, samples as ertacache does', async golden => {
    const { results, outputs } = answers.get('cached')!.get(golden.name)!;
    expect(outputs).toEqual(['embed', 'blocks', 'output']);

    const before = tf.memory().numTensors;
    const expected = await sampled(golden);
    const scale = Math.max(1, ...expected.map(Math.abs));
    expect(maxAbsDifference(results[0]!, expected) / scale).toBeLessThan(SAME_SUMS);
    expect(tf.memory().numTensors).toBe(before);
  });
});

/** The model of a case, made ready for its inputs; everything is released afterwards. */
async function withModel<T>(
  golden: GoldenCase,
  work: (ready: { model: Denoiser; context: unknown; latents: tf.Tensor; timesteps: number[] }) => Promise<T>,
): Promise<T> {
  const known = familyOf(golden.className);
  const config = parseConfig(known.schema, golden.config, golden.name);
  const files = await openModelAt(weightsOf(golden));
  const blocks = known.blockNames(config);
  const store = await loadStore(componentOf(files, 'model').source, known.parameters(config), { blocks });
  const { sample: given, timestep } = graphInputs(golden);
  const latents = tf.tensor(given!.data, given!.shape);
  const conditioned = conditionOf(golden);
  const model = known.create(config, store);
  const context = model.prepare(conditioned.condition, given!.shape);
  try {
    return await work({ model, context, latents, timesteps: timestep!.data });
  } finally {
    release([latents, context]);
    conditioned.release();
    store.dispose();
    await files.close();
  }
}

/** What ertacache's own sampler makes of a case: the same steps, reused at the site `hidden`. */
function sampled(golden: GoldenCase): Promise<Float32Array> {
  return withModel(golden, async ({ model: whole, context, latents }) => {
    const model = golden.className === 'STDiT3' ? velocityOnly(whole, latents.shape[1]!, 1) : whole;
    const timesteps = sigmas.slice(0, -1).map(sigma => Math.fround(1000 * sigma));
    const scheduler = parseConfig(
      flowMatchEulerConfig,
      { _class_name: 'FlowMatchEulerDiscreteScheduler' },
      'scheduler',
    );
    const run = {
      branches: [denoiserBranch({ name: 'only', model, context, expand: single })],
      guide: unguided,
      latents,
      solver: createFlowMatchEuler(scheduler, { sigmas, timesteps }),
    };
    const done = await sampleLoop(run, uniform(STEPS, COMPUTED, 'hidden'));
    const values = done.latents.dataSync<'float32'>().slice();
    done.latents.dispose();
    return values;
  });
}
