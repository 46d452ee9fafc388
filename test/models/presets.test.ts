import { ConfigError } from '../../src/errors';
import { parseConfig } from '../../src/io/parse-config';
import { autoencoderOf } from '../../src/models/autoencoders';
import { familyOf } from '../../src/models/families';
import { preset, presetNames } from '../../src/models/presets';
import { schedulerClass } from '../../src/schedulers/registry';
import { type ParameterTable, parameterCount } from '../../src/weights/parameters';

function table(name: string): ParameterTable {
  const { transformer } = preset(name);
  const model = familyOf(transformer._class_name);
  return model.parameters(parseConfig(model.schema, transformer, name));
}

/** Weights and bias of a linear layer. */
const layer = (inputs: number, outputs: number): number => inputs * outputs + outputs;

/** CogVideoX-5B, counted from its description: 42 blocks of width 48 × 64. */
function cogVideoX5B(): number {
  const [d, time] = [48 * 64, 512];
  const norm = 2 * d;
  const block = 2 * (layer(time, 6 * d) + norm) + 4 * layer(d, d) + 4 * 64 + layer(d, 4 * d) + layer(4 * d, d);
  const embedding = layer(16 * 2 * 2, d) + layer(4096, d) + layer(d, time) + layer(time, time);
  return embedding + 42 * block + norm + layer(time, 2 * d) + norm + layer(d, 16 * 2 * 2);
}

/** Open-Sora 1.2, counted from its description: twice 28 blocks of width 16 × 72. */
function openSora(): number {
  const d = 16 * 72;
  const attention = layer(d, 3 * d) + 2 * 72 + layer(d, d);
  const cross = layer(d, d) + layer(d, 2 * d) + layer(d, d);
  const block = 6 * d + attention + cross + layer(d, 4 * d) + layer(4 * d, d);
  const times = 2 * (layer(256, d) + layer(d, d)) + layer(d, 6 * d);
  const caption = 300 * 4096 + layer(4096, d) + layer(d, d);
  const final = 2 * d + layer(d, 2 * 2 * 2 * 4);
  return 72 / 2 + layer(4 * 2 * 2, d) + times + caption + 2 * 28 * block + final;
}

test.each([
  ['flux-dev', 11_901_408_320],
  ['flux-schnell', 11_891_178_560],
  ['chroma1-hd', 8_899_983_424],
  ['wan2.1-t2v-1.3b', 1_418_996_800],
  ['wan2.1-t2v-14b', 14_288_491_584],
  ['cogvideox-2b', 1_693_783_872],
  ['cogvideox-5b', cogVideoX5B()],
  ['opensora-1.2', openSora()],
  ['minit2i-b-16', 258_122_880],
  ['minit2i-l-16', 911_766_696],
])('%s has %d parameters', (name, count) => {
  expect(parameterCount(table(name))).toBe(count);
});

test('the counts that no publication states', () => {
  expect(cogVideoX5B()).toBe(5_570_283_072);
  // Of these 1,228,800 are the caption that stands for no prompt, a buffer in the reference.
  expect(openSora()).toBe(1_208_872_772);
});

test.each(presetNames())('%s: every name once, every block among the names, a sampler that is known', name => {
  const names = table(name).map(p => p.name);
  expect(new Set(names).size).toBe(names.length);
  const { transformer, scheduler } = preset(name);
  const model = familyOf(transformer._class_name);
  const blocks = model.blockNames(parseConfig(model.schema, transformer, name));
  for (const block of blocks) expect(names.some(n => n.startsWith(`${block}.`))).toBe(true);
  parseConfig(schedulerClass(scheduler._class_name).schema, scheduler, name);
});

test('an unknown preset is refused with the names there are', () => {
  expect(() => preset('wan')).toThrow(ConfigError);
  expect(() => preset('wan')).toThrow('There is no preset "wan".');
});

// Counted from the published checkpoints' descriptions: FLUX 83.8 M, Wan 127 M, CogVideoX 216 M values.
test.each([
  ['flux-dev', 83_819_683],
  ['wan2.1-t2v-1.3b', 126_892_531],
  ['cogvideox-2b', 215_583_907],
])('%s: the published autoencoder has %i values', (name, count) => {
  const { className, config } = preset(name).autoencoder!;
  const known = autoencoderOf(className);
  expect(parameterCount(known.parameters(parseConfig(known.schema, config, name)))).toBe(count);
});
