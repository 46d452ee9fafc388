import { type Receipt, readReceipt, UsageError } from 'ertacache/browser';

/** What the page shows of a receipt before the worker checks all of it, by its type. */
const SHOWN = {
  prompt: 'string',
  steps: 'number',
  guidance: 'number',
  schedule: 'string',
  forwards: 'number',
  scale: 'number',
  backend: 'string',
  version: 'string',
} as const satisfies { readonly [F in keyof Receipt]?: 'string' | 'number' };

/**
 * The receipt of a file.
 * @throws IoError where it has none, UsageError where that lacks what the page shows
 */
export async function openedReceipt(file: File): Promise<Receipt> {
  const receipt = await readReceipt(new Uint8Array(await file.arrayBuffer()), file.name);
  if (isWhole(receipt)) return receipt;
  throw new UsageError(`The receipt in ${file.name} does not describe a run of ertacache.`, {
    hint: 'Use a picture that ertacache drew.',
  });
}

/** It was written by anybody. */
function isWhole(receipt: object): boolean {
  const { model, policy, seed, negativePrompt = '', ...rest } = receipt as Readonly<Record<string, unknown>>;
  return (
    hasTexts(model, ['id', 'hash']) &&
    (policy === null || hasTexts(policy, ['name', 'hash'])) &&
    ['string', 'number'].includes(typeof seed) &&
    typeof negativePrompt === 'string' &&
    Object.entries(SHOWN).every(([field, type]) => typeof rest[field] === type)
  );
}

function hasTexts(value: unknown, fields: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return fields.every(field => typeof (value as Readonly<Record<string, unknown>>)[field] === 'string');
}
