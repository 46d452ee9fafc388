import { ErtaError } from '../../errors';
import type { Media } from '../../media/pixels';
import { writeMedia } from '../../media/write';
import type { Previews } from '../../sampling/previews';
import { tellAbove } from '../progress';
import { pictureProtocol, terminalPicture } from '../terminal-picture';

/** A picture while it grows: in a file, and in the terminal where that can show pictures. */
export interface Preview extends Previews {
  /** Shows what the run has come to. */
  finish(media: Media): Promise<void>;
}

/**
 * A preview that cannot be written is told of once, and costs no picture: the next step tries again.
 * @param path file that every step's prediction replaces; it is always a whole picture
 * @param steps of the run
 */
export function previewOf(path: string, steps: number, fps: number | undefined): Preview {
  const protocol = pictureProtocol(process.env, process.stderr.isTTY === true);
  const inTerminal = protocol && terminalPicture(process.stderr, protocol);
  let isTold = false;
  async function show(media: Media): Promise<void> {
    try {
      await writeMedia(path, media, fps === undefined ? {} : { fps });
    } catch (error) {
      if (!ErtaError.isInstance(error) || error.code === 'interrupted') throw error;
      if (!isTold) tellAbove(`The preview could not be written, and the run goes on: ${error.message}\n`);
      isTold = true;
    }
    await inTerminal?.(media);
  }
  // All but the last step, which ends in the picture itself.
  return { count: Math.max(0, steps - 1), show, finish: show };
}
