import { IoError } from '../errors';

/**
 * A text file's characters. A byte-order mark is honoured and taken away: UTF-8, or UTF-16 as Windows' shells write it.
 * @param name how errors call the file
 * @throws IoError naming the first line that is not UTF-8, in a file without a mark
 */
export function decodeText(bytes: Uint8Array, name: string): string {
  const wide = wideEncoding(bytes);
  try {
    return new TextDecoder(wide ?? 'utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    const where = wide ? `${name} begins as ${wide.toUpperCase()}, but` : `${name}, line ${brokenLine(bytes)}:`;
    throw new IoError(`${where} not ${wide ? 'wholly so' : 'UTF-8 text'}.`, {
      hint: 'Save the file again as UTF-8.',
      cause,
    });
  }
}

function wideEncoding([first, second]: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  return undefined;
}

/** The first line that is not UTF-8, counted from 1. No character of UTF-8 holds the byte of a line break. */
function brokenLine(bytes: Uint8Array): number {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for (let line = 1, begin = 0; ; line++) {
    const end = bytes.indexOf(0x0a, begin);
    try {
      decoder.decode(bytes.subarray(begin, end < 0 ? bytes.length : end));
    } catch {
      return line;
    }
    if (end < 0) return line;
    begin = end + 1;
  }
}
