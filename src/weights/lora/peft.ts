import { CheckpointError, UnsupportedError } from '../../errors';
import { isJsonObject, type Json, JsonError, parseStrictJson } from '../../io/strict-json';
import { flattened, withoutPrefixes } from './keys';

/** What peft keeps beside the tensors: by how much an update is multiplied. */
export interface PeftSettings {
  /**
   * Alpha over rank of a module, or over its root.
   * @param module the module's name as the file writes it
   * @param rank rows of its `down`; the one that is set for the module where its tensors have none
   * @returns 1 where nothing is said
   */
  factor(module: string, rank?: number): number;
}

/** Settings of an adapter that has none. */
export const noSettings: PeftSettings = { factor: () => 1 };

/**
 * The settings of an `adapter_config.json`, or of the header of a file that diffusers wrote, whose keys have the name of
 * the pipeline's part before them.
 * @param where how errors call the text
 * @throws CheckpointError `header_json`, UnsupportedError for a pattern that is not looked for
 */
export function peftSettings(text: string, where: string): PeftSettings {
  const refuse = (what: string): never => {
    throw new CheckpointError('header_json', `${where} ${what}.`, { hint: 'Export the adapter again.' });
  };
  const fields = new Map<string, Json>();
  for (const [key, value] of jsonObject(text, refuse)) {
    const name = key.replace(/^(transformer|unet)\./, '');
    if (!name.includes('.')) fields.set(name, value);
  }

  function numeric(value: Json | undefined, name: string): number | undefined {
    if (value === undefined || value === null) return undefined;
    return typeof value === 'number' && Number.isFinite(value) ? value : refuse(`gives a ${name} that is no number`);
  }

  /** The number of a module: that of a pattern which it matches, else the usual one. */
  function byModule(field: string, usual: number | undefined): (module: string) => number | undefined {
    const patterns = [...jsonField(field)].map(([pattern, value]) => ({
      matches: matcher(pattern, where),
      value: numeric(value, `value of ${field}`),
    }));
    return module => patterns.find(({ matches }) => matches(module))?.value ?? usual;
  }

  // LoHa and LoKr call it `alpha`.
  const alphaOf = byModule('alpha_pattern', numeric(fields.get('lora_alpha') ?? fields.get('alpha'), 'lora_alpha'));
  // Nearly always the tensors tell the rank: patterns that nobody needs are not refused.
  const rankOf = (module: string): number | undefined =>
    byModule('rank_pattern', numeric(fields.get('r'), 'rank'))(module);
  const isRooted = fields.get('use_rslora') === true;
  return {
    factor(module, given) {
      const alpha = alphaOf(module);
      const rank = alpha === undefined ? undefined : (given ?? rankOf(module));
      return alpha === undefined || !rank ? 1 : alpha / (isRooted ? Math.sqrt(rank) : rank);
    },
  };

  function jsonField(name: string): ReadonlyMap<string, Json> {
    const value = fields.get(name);
    if (value === undefined || value === null) return new Map();
    return isJsonObject(value) ? value : refuse(`gives something else than an object as ${name}`);
  }
}

function jsonObject(text: string, refuse: (what: string) => never): ReadonlyMap<string, Json> {
  let why = 'is not a JSON object';
  try {
    const value = parseStrictJson(text);
    if (isJsonObject(value)) return value;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    why = `is not valid JSON: ${error.message}`;
  }
  return refuse(why);
}

/** A regular expression of names: no groups that repeat, which could search without end. */
const PLAIN_PATTERN = /^\^?(?:[\w\-/]|\\?\.|\\d|\[[\w-]+\])*(?:[.\d\]]?[*+](?:[\w\-/]|\\?\.|\\d|\[[\w-]+\])*){0,2}\$?$/;
const LONGEST_PATTERN = 300;

/**
 * Whether a pattern of peft is for a module: the module's name equals it, or ends with it after a dot. peft takes it for
 * a regular expression; so are those taken that cannot search for long.
 */
function matcher(pattern: string, where: string): (module: string) => boolean {
  const literal = pattern.replace(/^\^/, '').replace(/\$$/, '').replaceAll('\\.', '.');
  if (/^[\w.\-/]*$/.test(literal)) {
    if (!pattern.startsWith('^')) return module => module === literal || module.endsWith(`.${literal}`);
    const wanted = flattened(literal);
    return module => [...withoutPrefixes(module)].includes(wanted);
  }
  if (pattern.length > LONGEST_PATTERN || !PLAIN_PATTERN.test(pattern)) {
    throw new UnsupportedError(`${where} has the pattern ${pattern}, which ertacache does not look for.`, {
      hint: 'Take the adapter with the names of its modules in place of the pattern.',
    });
  }
  const expression = new RegExp(`^(?:.*\\.)?(?:${pattern.replace(/^\^/, '').replace(/\$$/, '')})$`);
  return module => expression.test(module);
}
