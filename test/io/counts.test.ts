import { ConfigError } from '../../src/errors';
import { parseConfig } from '../../src/io/parse-config';
import { autoencoderOf } from '../../src/models/autoencoders';
import { familyOf } from '../../src/models/families';
import { preset, presetNames } from '../../src/models/presets';
import { textEncoderClass } from '../../src/models/text/registry';
import { schedulerClass } from '../../src/schedulers/registry';

type Config = Readonly<Record<string, unknown>>;

const T5 = {
  num_layers: 2,
  d_model: 32,
  d_kv: 8,
  d_ff: 48,
  num_heads: 4,
  vocab_size: 90,
  feed_forward_proj: 'gated-gelu',
};
const CLIP = { hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 64, vocab_size: 99 };

/** Every class of published models with a configuration that it accepts. */
const classes = presetNames().flatMap(name => {
  const { transformer, scheduler, autoencoder } = preset(name);
  return [
    { name: `${name}: transformer`, schema: familyOf(transformer._class_name).schema, config: transformer as Config },
    { name: `${name}: scheduler`, schema: schedulerClass(scheduler._class_name).schema, config: scheduler as Config },
    ...(autoencoder
      ? [
          {
            name: `${name}: vae`,
            schema: autoencoderOf(autoencoder.className).schema,
            config: autoencoder.config as Config,
          },
        ]
      : []),
  ];
});
const encoders = (
  [
    ['T5EncoderModel', T5],
    ['CLIPTextModel', CLIP],
  ] as const
).map(([name, config]) => ({
  name,
  schema: textEncoderClass(name).schema,
  config: { architectures: [name], ...config } as Config,
}));

test.each([...classes, ...encoders])('$name: no count is without end', ({ schema, config }) => {
  // Defaults are counts as well.
  const whole = { ...(parseConfig(schema, config, 'x') as Config), ...config };
  const counts = Object.keys(whole).filter(key => Number.isInteger(whole[key]) && !LEVELS.test(key));
  expect(counts.length).toBeGreaterThan(0);
  for (const key of counts) {
    const parse = () => parseConfig(schema, { ...config, [key]: 1e9 }, 'config.json');
    expect([key, faultOf(parse)]).toEqual([key, expect.stringContaining(`config.json: ${key}: `)]);
  }
});

/** Strengths, not counts: however large, they take no time. */
const LEVELS = /shift|scale|^freq_shift$/;

function faultOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return undefined;
}
