import { z } from 'zod';

/** What kinds of prompts there are. */
export const promptGroup = z.enum(['ordinary', 'empty', 'unknown', 'background', 'long', 'negative']);

/** A prompt and the seed of its noise, as files hold them. */
export const pairSchema = z.object({
  prompt: z.string(),
  seed: z.int().nonnegative(),
  /** What the run steers away from; the model's null prompt unless given. */
  negative: z.string().optional(),
  /** `ordinary` unless given. */
  group: promptGroup.optional(),
});

/** A prompt and a seed: what one picture is made of. */
export type Pair = z.infer<typeof pairSchema>;

/** What kind of prompt a pair has: of the model's own list, or one that people write and lists do not hold. */
export type PromptGroup = z.infer<typeof promptGroup>;
