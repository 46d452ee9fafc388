import type { z } from 'zod';
import { ConfigError } from '../errors';

/**
 * Validates a value from outside against a schema.
 * @param what begins the sentence of an error: a file, or what the value configures
 * @throws ConfigError naming the first field that is wrong
 */
export function parseConfig<Config>(schema: z.ZodType<Config>, config: unknown, what: string): Config {
  const parsed = schema.safeParse(config);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = issue.path.join('.') || 'the configuration';
  throw new ConfigError(`${what}: ${field}: ${issue.message}.`, { hint: 'Correct the field in the file.' });
}
