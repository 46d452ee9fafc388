import { z } from 'zod';

/** A LoRA that a policy or a comparison was made with, and the transformer that it was merged into, where not the first. */
export const lora = z.object({
  sha256: z.string(),
  scale: z.number(),
  component: z.literal('transformer_2').optional(),
});
export type PolicyLora = Readonly<z.infer<typeof lora>>;
