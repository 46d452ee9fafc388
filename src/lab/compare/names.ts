/** Names of files inside a comparison's folder. */
const numbered = (index: number): string => String(index).padStart(3, '0');

/** The folder of a method at a budget. */
export const cellName = (method: string, budget: number): string => `${method}-${budget}`;

/** What stands in the place of a cell's name for the uncached pictures. */
export const REFERENCE = 'reference';

/** The picture of a pair; `of` is `reference` or a cell's name. */
export const pictureName = (of: string, pair: number): string => `images/${of}/${numbered(pair)}.png`;

/** Where that picture differs from the uncached one. */
export const differenceName = (of: string, pair: number): string => `images/${of}/${numbered(pair)}-difference.png`;

/** The policy that a method was calibrated to. */
export const policyName = (method: string, budget: number): string => `policies/${cellName(method, budget)}.json`;

/** Where the exact pixels of a batch lie until the comparison is complete. */
export const floatsName = (batch: number): string => `references/batch-${numbered(batch)}.safetensors`;
