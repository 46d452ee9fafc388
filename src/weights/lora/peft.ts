import { CheckpointError, UnsupportedError } from '../../errors';
import { isJsonObject, type Json, JsonError, parseStrictJson } from '../../io/strict-json';
import { flattened, withoutPrefixes } from './keys';

/** What peft keeps beside the tensors: by how much an update is multiplied. */
export interface PeftSettings {
  /**
   * Alpha over rank of a module, or over its root.
   * @param module the module's name as the file writes it
   * @param rank rows of its `down`
   * @returns 1 where nothing is said
   */
  factor(module: string, rank: number): number;
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

  const patterns = jsonField(fields.get('alpha_pattern'));
  const alphas = [...patterns].map(([pattern, value]) => ({
    matches: matcher(pattern, where),
    alpha: numeric(value, 'alpha'),
  }));
  // LoHa and LoKr call it `alpha`.
  const usual = numeric(fields.get('lora_alpha') ?? fields.get('alpha'), 'lora_alpha');
  const isRooted = fields.get('use_rslora') === true;
  return {
    factor(module, rank) {
      const alpha = alphas.find(({ matches }) => matches(module))?.alpha ?? usual;
      return alpha === undefined ? 1 : alpha / (isRooted ? Math.sqrt(rank) : rank);
    },
  };

  function jsonField(value: Json | undefined): ReadonlyMap<string, Json> {
    if (value === undefined || value === null) return new Map();
    return isJsonObject(value) ? value : refuse('gives an alpha_pattern that is no object');
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
