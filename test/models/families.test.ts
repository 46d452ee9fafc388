import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { parseConfig } from '../../src/io/parse-config';
import { exportGraph } from '../../src/lab/export/export-graph';
import { syntheticCondition, syntheticOf } from '../../src/lab/timing/synthetic-job';
import { families, familyOf } from '../../src/models/families';
import type { Family } from '../../src/models/family';
import type { GoldenInputs } from '../../src/models/golden';
import type { Preset } from '../../src/models/preset';
import { requirements } from '../../src/models/requirements';
import { release } from '../../src/nn/scope';
import { loadModel } from '../../src/pipelines/load';
import { openModelAt } from '../../src/weights/disk';
import { componentOf } from '../../src/weights/open-model';
import { scratchFolder } from '../media/pictures';
import { describeOnBackends } from '../support/backends';

const scratch = scratchFolder();
const published = families.flatMap((family: Family) =>
  family.presets.map((preset: Preset) => {
    const config = parseConfig(family.schema, preset.transformer, preset.name);
    return { name: preset.name, family, preset, config };
  }),
);

test('no two families share a class, a pipeline or a preset', () => {
  const listed = families.flatMap(({ className, pipelineClasses, presets }: Family) => [
    className,
    ...pipelineClasses,
    ...presets.map(({ name }) => name),
  ]);
  expect(new Set(listed).size).toBe(listed.length);
});

describe.each(published)('$name', ({ family, preset, config }) => {
  test('its usual size is one that it can draw, and what it needs is told for that', () => {
    const size = family.usualSize(config);
    const work = family.workload(config, size);
    expect(work.size).toEqual(size);
    expect(work.latent[0]).toBe(1);
    expect(work.latent[work.channelAxis]).toBeGreaterThan(0);
    expect(work.width % work.heads).toBe(0);
    for (const block of family.blockNames(config)) expect(work.attention(block).length).toBeGreaterThan(0);
    const most = work.tokens + work.textTokens;
    const rows = family.parameters(config).map(({ name }) => work.rows(name));
    expect(rows.filter(count => !(count >= 0 && count <= most))).toEqual([]);
    const { tokens, textTokens } = work;
    expect(requirements(family.className, preset.transformer)).toMatchObject({ size, tokens, textTokens });
  });

  test('its usual run has steps and a strength of guidance', () => {
    const { steps, guidance } = family.usualRun(config, preset.scheduler);
    expect(Number.isInteger(steps) && steps > 0).toBe(true);
    expect(guidance).toBeGreaterThanOrEqual(0);
  });

  test('its autoencoder is one of the family', () => {
    if (!preset.autoencoder) {
      expect(family.autoencoders).toEqual({});
      return;
    }
    const { className, config: stored } = preset.autoencoder;
    const known = family.autoencoders[className];
    expect(known?.parameters(parseConfig(known.schema, stored, className)).length).toBeGreaterThan(0);
  });

  test('one block of every kind is a model of the class, and goes into a graph', () => {
    const short = syntheticOf(family.className).shortened(config, 1);
    expect(family.blockNames(short).length).toBeLessThan(family.blockNames(config).length);
    const { inputs, outputs } = exportGraph(family.className, short, { prefix: '' }).signature;
    expect(Object.keys(inputs)).toEqual(expect.arrayContaining(['sample', 'timestep', 'encoder_hidden_states']));
    expect(Object.keys(outputs)).toEqual(['output']);
  });
});

/** Inputs of a case that has all that is asked for. */
const anyInputs = (made: tf.Tensor): GoldenInputs => ({
  has: () => true,
  tensor: () => made,
  squeezed: () => made,
  list: () => [1],
  rows: () => [[0]],
});

describeOnBackends('a family', () => {
  test.each(published)('$name: a condition is made up for every row', ({ family, config }) => {
    const work = family.workload(config, family.usualSize(config), 3);
    const before = tf.memory().numTensors;
    const condition = syntheticCondition({ className: family.className, config, work }, [1, 2]);
    const tensors = Object.values(condition).filter((value): value is tf.Tensor => value instanceof tf.Tensor);
    expect(tensors.length).toBeGreaterThan(0);
    for (const { shape } of tensors) expect(shape[0]).toBe(2);
    release(condition);
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each(families.map((family: Family) => [family.title, family.golden] as const))(
    '%s: golden cases name a condition, and the tokens after a block',
    (_, golden) => {
      const made = tf.zeros([1, 2, 4]);
      const condition = golden.condition(anyInputs(made));
      expect(Object.values(condition)).toContain(made);
      const tokens = { hidden: made, context: made };
      const names = [0, 1, 2, 3].flatMap(block => Object.keys(golden.afterBlock(block, tokens)));
      expect(names.length).toBeGreaterThanOrEqual(4);
      expect(new Set(names).size).toBe(names.length);
      release(golden.embedded?.(tokens));
      made.dispose();
    },
  );

  const fixture = (name: string): string => join(__dirname, '../fixtures/pipelines', name, 'pipeline');
  const readJson = (...path: string[]) => JSON.parse(readFileSync(join(...path), 'utf8'));

  /** What a pipeline says that it is usually run with, and what its family says. */
  async function defaultsOf(folder: string) {
    const model = await openModelAt(folder);
    await model.close();
    const { className, config } = componentOf(model, 'transformer');
    const known = familyOf(className);
    const scheduler = readJson(folder, 'scheduler/scheduler_config.json');
    const usual = known.usualRun(parseConfig(known.schema, config, folder), scheduler);
    const pipeline = await loadModel(folder);
    pipeline.dispose();
    return { usual, said: pipeline.info.defaults };
  }

  test.each(['flux-tiny', 'wan-tiny', 'cogvideox-tiny', 'opensora-tiny'])(
    '%s: its pipeline is usually run as its family is',
    async name => {
      const { usual, said } = await defaultsOf(fixture(name));
      expect(said).toEqual(usual);
    },
  );

  test('a FLUX without guidance has none in its pipeline either', async () => {
    const folder = scratch.path('schnell');
    cpSync(fixture('flux-tiny'), folder, { recursive: true });
    const config = join(folder, 'transformer/config.json');
    writeFileSync(config, JSON.stringify({ ...readJson(config), guidance_embeds: false }));
    const schnell = published.find(({ name }) => name === 'flux-schnell')!;
    const { usual, said } = await defaultsOf(folder);
    expect(said).toEqual(usual);
    expect(said).toEqual(schnell.family.usualRun(schnell.config, schnell.preset.scheduler));
    expect(said.guidance).toBe(0);
  });
}, ['wasm']);
