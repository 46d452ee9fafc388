import type { Receipt } from '../../draw/receipt';
import { ErtaError, IoError, UsageError } from '../../errors';
import { isMarked, shallow, unwrapped } from '../../media/receipt-value';
import { receiptFromXmp } from '../../media/xmp';
import { xmpInFile } from './xmp-in-file';

/** A receipt has a few kilobytes. */
const MOST_TEXT = 10_000_000;

/**
 * The receipt of a picture or a clip that ertacache drew, wherever that was: of a PNG, JPEG or WebP file, or of the JSON
 * beside a clip; an MP4 file holds it where a page wrote it.
 * @param bytes the file's content
 * @param name how errors call it
 * @returns the receipt; `repeat` checks what is in it
 * @throws IoError when it carries none or a damaged one, UsageError when it is not of a run of ertacache
 * @example
 * const receipt = await readReceipt(new Uint8Array(await file.arrayBuffer()), file.name);
 */
export async function readReceipt(bytes: Uint8Array, name = 'The file'): Promise<Receipt> {
  try {
    const xmp = await xmpInFile(bytes);
    const value = xmp === undefined ? jsonIn(bytes) : receiptFromXmp(xmp);
    if (value !== undefined) return requireReceipt(shallow(value), name);
  } catch (error) {
    if (ErtaError.isInstance(error)) throw error;
    throw new IoError(`The receipt of ${name} is damaged.`, { cause: error });
  }
  throw new IoError(`${name} carries no receipt.`, {
    hint: 'ertacache writes one into its PNG, JPEG and WebP files, and into NAME.json beside other files; editors drop it.',
  });
}

function requireReceipt(value: unknown, name: string): Receipt {
  if (isMarked(value)) return value as unknown as Receipt;
  throw new UsageError(`The receipt in ${name} does not describe a run of ertacache.`, {
    hint: 'Use a picture that ertacache drew.',
  });
}

/** The JSON that lies beside a clip. */
function jsonIn(bytes: Uint8Array): unknown {
  if (bytes[0] !== '{'.charCodeAt(0) || bytes.length > MOST_TEXT) return undefined;
  return unwrapped(JSON.parse(new TextDecoder().decode(bytes)));
}
