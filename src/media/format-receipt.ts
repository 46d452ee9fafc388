import { escaped } from '../printable';

/** A receipt as lines of aligned `key  value`; what lies deeper is indented. Strings are shown as they are. */
export function formatReceipt(receipt: unknown): string {
  if (!isContainer(receipt)) return show(receipt);
  const rows = rowsOf(receipt, '');
  // Not as arguments of one call: a file that anyone may have written can have more keys than the stack holds.
  const width = rows.reduce((widest, [key]) => Math.max(widest, key.length), 0);
  return rows.map(([key, value]) => `${key.padEnd(width)}  ${value}`.trimEnd()).join('\n');
}

type Row = readonly [key: string, value: string];

function rowsOf(value: object, indent: string): Row[] {
  return Object.entries(value).flatMap(([key, item]): Row[] => {
    const label = indent + escaped(key);
    if (Array.isArray(item) && item.every(element => !isContainer(element)))
      return [[label, item.map(show).join(', ')]];
    return isContainer(item) ? [[label, ''] as Row].concat(rowsOf(item, `${indent}  `)) : [[label, show(item)]];
  });
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function show(value: unknown): string {
  if (value === null) return 'none';
  return typeof value === 'string' ? escaped(value) : String(value);
}
