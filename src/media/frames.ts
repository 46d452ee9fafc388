import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { requireReplaceable, withAtomicFolder } from '../io/atomic-folder';
import { fileHash } from '../io/file-hash';
import { writeNew } from '../io/fs';
import { sha256 } from '../io/sha256';
import { requireWritable } from '../io/writable';
import { frames, type Media } from './pixels';
import { encodePng } from './png';
import { FOLDER_RECEIPT, receiptText } from './receipt';

/** The mark of a folder of frames: which files ertacache wrote there, and the SHA-256 of each. */
const MARK = '.ertacache.json';
const FORMAT = 'ertacache-frames';

/**
 * Writes each frame as `frame_0000.png` … into a folder, with the receipt beside them in `receipt.json`.
 * A folder that holds anything else is not replaced.
 */
export async function writeFrames(folder: string, media: Media, options: { receipt?: unknown } = {}): Promise<void> {
  const fill = async (into: string) => {
    const files: Record<string, string> = {};
    const add = async (name: string, content: Uint8Array | string): Promise<void> => {
      await writeNew(join(into, name), content);
      files[name] = sha256(content);
    };
    for (const [index, frame] of frames(media).entries()) {
      await add(`frame_${String(index).padStart(4, '0')}.png`, encodePng(frame));
    }
    if (options.receipt !== undefined) await add(FOLDER_RECEIPT, receiptText(options.receipt));
    await writeNew(join(into, MARK), `${JSON.stringify({ format: FORMAT, files }, null, 1)}\n`);
  };
  await withAtomicFolder(folder, fill, { own: ownFrames });
}

/** @throws IoError when `writeFrames` could not write this folder */
export async function requireReplaceableFrames(folder: string): Promise<void> {
  await requireReplaceable(folder, { own: ownFrames });
  await requireWritable(folder.replace(/[\\/]+$/, '.trial'));
}

/** What `writeFrames` wrote into a folder and nobody has changed since; undefined where it wrote nothing. */
async function ownFrames(folder: string): Promise<ReadonlySet<string> | undefined> {
  const mark = await readMark(join(folder, MARK));
  if (!mark) return undefined;
  const own = new Set([MARK]);
  for (const [name, hash] of Object.entries(mark)) {
    if ((await fileHash(join(folder, name)).catch(() => undefined)) === hash) own.add(name);
  }
  return own;
}

async function readMark(path: string): Promise<Readonly<Record<string, string>> | undefined> {
  try {
    const { format, files } = JSON.parse(await readFile(path, 'utf8'));
    return format === FORMAT && typeof files === 'object' && files !== null ? files : undefined;
  } catch {
    return undefined;
  }
}
