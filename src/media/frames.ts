import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withAtomicFolder } from '../io/atomic';
import { frames, type Media } from './pixels';
import { encodePng } from './png';
import { FOLDER_RECEIPT, receiptText } from './receipt';

const OURS = /^frame_\d+\.png$/;

/**
 * Writes each frame as `frame_0000.png` … into a folder, with the receipt beside them in `receipt.json`.
 * A folder that holds anything else is not replaced.
 */
export async function writeFrames(folder: string, media: Media, options: { receipt?: unknown } = {}): Promise<void> {
  const fill = async (into: string) => {
    for (const [index, frame] of frames(media).entries()) {
      await writeFile(join(into, `frame_${String(index).padStart(4, '0')}.png`), await encodePng(frame));
    }
    if (options.receipt !== undefined) await writeFile(join(into, FOLDER_RECEIPT), receiptText(options.receipt));
  };
  const mayReplace = (names: readonly string[]) => names.every(name => OURS.test(name) || name === FOLDER_RECEIPT);
  await withAtomicFolder(folder, fill, { mayReplace });
}
