import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ErtaError, IoError } from '../errors';
import { readError } from '../io/system-error';
import { loadSharp } from './sharp';
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

/**
 * The receipt of a picture, a clip or a folder of frames: the JSON value it was written with, not checked further.
 * @param path a picture, a clip, or a folder of frames that ertacache wrote
 * @returns the JSON value
 * @throws IoError when the file is not there, carries no receipt, or carries a damaged one
 */
export async function readReceipt(path: string): Promise<unknown> {
  try {
    const receipt = (await embeddedReceipt(path)) ?? (await separateReceipt(path));
    if (receipt !== undefined) return receipt;
  } catch (error) {
    if (ErtaError.isInstance(error)) throw error;
    throw new IoError(`The receipt of ${path} is damaged.`, { cause: error });
  }
  throw new IoError(`${path} carries no receipt.`, {
    hint: 'ertacache writes one into its PNG and WebP files, and into NAME.json beside other files; editors drop it.',
  });
}

async function embeddedReceipt(path: string): Promise<unknown> {
  if (!/\.(png|webp)$/i.test(path)) return undefined;
  const sharp = await loadSharp();
  let packet: Buffer | undefined;
  try {
    packet = (await sharp(await readFile(path)).metadata()).xmp;
  } catch (error) {
    throw readError(path, error);
  }
  return packet === undefined ? undefined : receiptFromXmp(packet.toString('utf8'));
}

async function separateReceipt(path: string): Promise<unknown> {
  const info = await stat(path).catch(error => {
    throw readError(path, error);
  });
  const text = await readFile(info.isDirectory() ? join(path, FOLDER_RECEIPT) : sidecarPath(path), 'utf8').catch(
    () => undefined,
  );
  return text === undefined ? undefined : JSON.parse(text);
}
