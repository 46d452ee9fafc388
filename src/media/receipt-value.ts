/** The value of the field `tool` in what ertacache writes: the mark that a file beside a clip is a receipt of its. */
export const TOOL = 'ertacache';

/** Whether a value is a receipt of ertacache's, or one that it wrapped. */
export function isMarked(value: unknown): value is { readonly tool: typeof TOOL } {
  return typeof value === 'object' && value !== null && 'tool' in value && value.tool === TOOL;
}

/** What `sidecarText` was given. */
export function unwrapped(value: unknown): unknown {
  if (!isMarked(value) || !('receipt' in value) || Object.keys(value).length !== 2) return value;
  return value.receipt;
}

/** A receipt is nested three deep. What goes much deeper would overflow the stack of whoever walks through it. */
const DEEPEST = 64;

/** @throws RangeError for a value that is nested too deep */
export function shallow(value: unknown): unknown {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DEEPEST) throw new RangeError('nested too deep');
    level = level.flatMap(item => (typeof item === 'object' && item !== null ? Object.values(item) : []));
  }
  return value;
}
