import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ErtaError, IoError } from '../errors';
import { requireText } from '../io/arguments';
import { isFile, openFile, readText } from '../io/node-file';
import { hasJsonMark } from '../io/own-file';
import { readError } from '../io/system-error';
import { xmpBoxIn } from './mp4-xmp';
import { readPictureFile } from './picture-file';
import { isMarked, shallow, TOOL, unwrapped } from './receipt-value';
import { receiptFromXmp } from './xmp';

/** The name of the receipt inside a folder of frames. */
export const FOLDER_RECEIPT = 'receipt.json';

/** Where the receipt of a file lies that cannot hold one itself (MP4, GIF). */
export function sidecarPath(path: string): string {
  return `${path}.json`;
}

/** The text of a receipt in a file of its own. */
export function receiptText(receipt: unknown): string {
  return `${JSON.stringify(receipt, null, 2)}\n`;
}

/** The text of a receipt beside its file. A receipt without the mark, which programs may give, is wrapped in one. */
export function sidecarText(receipt: unknown): string {
  return receiptText(isMarked(receipt) ? receipt : { tool: TOOL, receipt });
}

/** Whether these are the bytes of a receipt beside its file, and not of something else. */
export const isSidecar = (bytes: Uint8Array): boolean => hasJsonMark(bytes, 'tool', TOOL);

/**
 * The receipt of a picture, a clip or a folder of frames: the JSON value it was written with, not checked further.
 * @param path a picture, a clip, a folder of frames that ertacache wrote, or the JSON file beside one
 * @returns the JSON value
 * @throws IoError when the file is not there, carries no receipt, or carries a damaged one
 */
export async function readReceipt(path: string): Promise<unknown> {
  requireText('path', path, 'the name of a file or a folder');
  try {
    const receipt = (await embeddedReceipt(path)) ?? (await separateReceipt(path));
    if (receipt !== undefined) return shallow(receipt);
  } catch (error) {
    if (ErtaError.isInstance(error)) throw error;
    throw new IoError(`The receipt of ${path} is damaged.`, { cause: error });
  }
  throw new IoError(`${path} carries no receipt.`, {
    hint: 'ertacache writes one into its PNG, JPEG and WebP files, and into NAME.json beside other files; editors drop it.',
  });
}

/** A receipt has a few kilobytes. */
const MOST_TEXT = 10_000_000;
async function embeddedReceipt(path: string): Promise<unknown> {
  if (/\.mp4$/i.test(path)) return receiptInMp4(path);
  if (!/\.(png|jpe?g|webp)$/i.test(path)) return undefined;
  const { xmp } = (await readPictureFile(path)).header;
  return xmp === undefined ? undefined : receiptFromXmp(xmp.toString('utf8'));
}

/** Pages write it into the file; the command line, beside it. */
async function receiptInMp4(path: string): Promise<unknown> {
  if (!(await isFile(path))) return undefined;
  const file = await openFile(path);
  try {
    const xmp = await xmpBoxIn(file.size, file.read);
    return xmp === undefined ? undefined : receiptFromXmp(xmp);
  } finally {
    await file.close();
  }
}

async function separateReceipt(path: string): Promise<unknown> {
  const info = await stat(path).catch(error => {
    throw readError(path, error);
  });
  const isReceipt = !info.isDirectory() && /\.json$/i.test(path);
  const beside = info.isDirectory() ? join(path, FOLDER_RECEIPT) : isReceipt ? path : sidecarPath(path);
  if (!(await isFile(beside))) return undefined;
  const text = await readText(beside, MOST_TEXT);
  // JSON of any other kind has a name like this too.
  if (isReceipt && !isSidecar(Buffer.from(text))) return undefined;
  return unwrapped(JSON.parse(text));
}
