/** What a tensor of an adapter is to the module that it changes. */
export type Role =
  | 'down'
  | 'up'
  | 'upBias'
  | 'alpha'
  | 'magnitude'
  | 'diff'
  | 'diffBias'
  | `hada_w${1 | 2}_${'a' | 'b'}`
  | `lokr_w${1 | 2}${'' | '_a' | '_b'}`;

/** The name of a tensor, taken apart. */
export interface AdapterKey {
  /** The module's name as the file writes it, prefix included. */
  readonly module: string;
  readonly role: Role;
  /** What is left of the name: `.lora_down.weight`. */
  readonly ending: string;
}

/** How trainers end the names of an adapter's tensors. peft puts an adapter's name between, `default` for example. */
const ENDINGS: readonly (readonly [RegExp, Role])[] = [
  [/\.lora_A(\.[^.]+)?\.weight$/, 'down'],
  [/\.lora_B(\.[^.]+)?\.weight$/, 'up'],
  [/\.lora_B(\.[^.]+)?\.bias$/, 'upBias'],
  [/\.(lora_down|lora\.down)\.weight$/, 'down'],
  [/\.(lora_up|lora\.up)\.weight$/, 'up'],
  // xlabs: `…processor.qkv_lora1.down.weight` belongs to a module of that name.
  [/(?<=_lora\d?)\.down\.weight$/, 'down'],
  [/(?<=_lora\d?)\.up\.weight$/, 'up'],
  [/\.alpha$/, 'alpha'],
  [/\.(dora_scale|lora_magnitude_vector(\.[^.]+)?)$/, 'magnitude'],
  [/\.lora_magnitude_vector\.[^.]+\.weight$/, 'magnitude'],
  [/\.diff$/, 'diff'],
  [/\.diff_b$/, 'diffBias'],
];
/** LightX2V: the change of a parameter that belongs to no layer of the module, `modulation` of Wan's blocks and head. */
const MODULATION = /\.diff_m$/;
const FACTOR = /\.(hada_w[12]_[ab]|lokr_w[12](?:_[ab])?)$/;

/** Takes the name of a tensor apart; undefined for one that belongs to no dialect. */
export function adapterKey(name: string): AdapterKey | undefined {
  const factor = FACTOR.exec(name);
  if (factor) return keyOf(name, factor.index, factor[1] as Role);
  const modulation = MODULATION.exec(name);
  if (modulation) {
    const key = keyOf(name, modulation.index, 'diff');
    return key && { ...key, module: `${key.module}${separatorOf(key.module)}modulation` };
  }
  for (const [pattern, role] of ENDINGS) {
    const found = pattern.exec(name);
    if (found) return keyOf(name, found.index, role);
  }
  return undefined;
}

const keyOf = (name: string, at: number, role: Role): AdapterKey | undefined =>
  at === 0 ? undefined : { module: name.slice(0, at), role, ending: name.slice(at) };

/** Prefixes of what an adapter holds for text encoders, which are not merged. */
const TEXT_ENCODER = /^(lora_te\d*_|lora_text_encoder|text_encoders?(_\d+)?\.|te\d*\.|text_model\.|cond_stage_model\.)/;

/** Whether a tensor is for a text encoder. */
export const isOfTextEncoder = (name: string): boolean => TEXT_ENCODER.test(name);

/** The ending of the missing one of a pair, in the words of the one that is there. */
export function counterpart({ module, ending }: AdapterKey): string {
  const swaps: Readonly<Record<string, string>> = {
    lora_A: 'lora_B',
    lora_B: 'lora_A',
    down: 'up',
    up: 'down',
  };
  return module + ending.replace(/lora_A|lora_B|down|up/, word => swaps[word] ?? word);
}

/**
 * What programs put before the names of a model's modules, in any order and more than once. VideoX-Fun parts the last
 * of them from the name by two underscores.
 */
const PREFIX =
  /^(?:lora|lycoris|unet|transformer|diffusion_model|model|base_model|module|net|pipe|dit|_?orig_mod)(?:\.|__?)/;

/** A name as kohya writes it: dots are underscores, so that it cannot be taken apart again. */
export const flattened = (name: string): string => name.replaceAll('.', '_');

/** What parts the words of a module's name. */
const separatorOf = (module: string): '.' | '_' => (module.includes('.') ? '.' : '_');

/** The flattened name of a module, then what is left of it without one prefix after the other. */
export function* withoutPrefixes(module: string): Generator<string> {
  const separator = separatorOf(module);
  for (let rest = module; ; ) {
    yield flattened(rest);
    const prefix = PREFIX.exec(rest)?.[0];
    if (!prefix?.endsWith(separator)) return;
    rest = rest.slice(prefix.length);
  }
}
