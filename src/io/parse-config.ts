import type { z } from 'zod';
import { ConfigError } from '../errors';
import { checkOtherFields } from './known-fields';

/**
 * Validates a value from outside against a schema.
 * @param what begins the sentence of an error: a file, or what the value configures
 * @throws ConfigError naming the first field that is wrong, or that is right and not supported
 */
export function parseConfig<Config>(schema: z.ZodType<Config>, config: unknown, what: string): Config {
  const parsed = schema.safeParse(config);
  if (parsed.success) {
    checkOtherFields(schema, config, what);
    return parsed.data;
  }
  const issue = parsed.error.issues[0]!;
  const field = issue.path.join('.') || 'the configuration';
  throw new ConfigError(`${what}: ${field}: ${issue.message}.`, {
    hint: /\bsupported\b/.test(issue.message)
      ? 'ertacache does not compute this: take another checkpoint, or another setting if the model allows it.'
      : 'Correct the field in the file.',
  });
}
