/**
 * Fields of a configuration that its schema does not read. A file that says more than is heeded may describe another
 * computation than the one that is done, so nothing of it passes in silence: what the reference class knows stands
 * here by name, and all else is told.
 */
import { z } from 'zod';
import { ConfigError } from '../errors';
import { note } from './notes';
import { isRecord } from './plain-json';

/** What the reference's class takes besides the fields that a schema reads. */
export interface OtherFields {
  /** Fields that change the result, with the values under which it is the one that is computed here. */
  readonly fixed?: Readonly<Record<string, readonly unknown[]>>;
  /** Fields that change nothing of it: of training, of memory, of other uses of the class. */
  readonly idle?: readonly string[];
}

const known = new WeakMap<z.ZodType, OtherFields>();

/** Declares what else may stand in the files that a schema reads; from then on other fields are told. */
export function knowing<Schema extends z.ZodObject>(schema: Schema, fields: OtherFields = {}): Schema {
  known.set(schema, fields);
  return schema;
}

/** What the libraries write into every file: where it came from, not what it computes. */
const COMMON = /^(_.*|architectures|model_type|torch_dtype|dtype|transformers_version|auto_map)$/;

/** What no class here computes with, whichever it is. */
const FIXED: NonNullable<OtherFields['fixed']> = { quantization_config: [null], peft_config: [null] };

/**
 * Looks at the fields that a schema has passed over.
 * @param what begins the sentence
 * @throws ConfigError for a value under which the reference would compute something else
 */
export function checkOtherFields(schema: z.ZodType, config: unknown, what: string): void {
  const fields = known.get(schema);
  if (!fields || !(schema instanceof z.ZodObject) || !isRecord(config)) return;
  const { idle = [] } = fields;
  const fixed = { ...FIXED, ...fields.fixed };
  const strange: string[] = [];
  for (const [name, value] of Object.entries(config)) {
    if (Object.hasOwn(schema.shape, name) || COMMON.test(name) || idle.includes(name)) continue;
    if (!Object.hasOwn(fixed, name)) strange.push(name);
    else if (!fixed[name]!.some(allowed => JSON.stringify(allowed) === JSON.stringify(value))) {
      const values = fixed[name]!.map(allowed => JSON.stringify(allowed)).join(' or ');
      throw new ConfigError(`${what}: ${name}: ${JSON.stringify(value)} is not supported, only ${values}.`, {
        hint: 'ertacache would draw something else than this model is meant to; take another checkpoint.',
      });
    }
  }
  if (strange.length > 0) {
    const names = strange.slice(0, 5).join(', ');
    note(`${what}: ertacache does not know ${names}, and ignores it.`, `${names} of ${config._class_name}`);
  }
}
