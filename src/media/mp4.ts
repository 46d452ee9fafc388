import { randomUUID } from 'node:crypto';
import { mendIndex, withColour } from './mp4-index';
import { type Clip, frameSize, toBytes } from './pixels';

export interface Mp4Options {
  /** Frames per second. */
  fps: number;
  /** 1 … 100, from smallest to best; H.264's quantiser runs from 51 down to 10. */
  quality?: number | undefined;
}

/**
 * A clip as an MP4 file: H.264 baseline, 4:2:0 video-range BT.601, which the file says, one video track, no sound. H.264
 * counts pixels in pairs, so an odd last row or column is doubled. The same clip gives the same bytes.
 */
export async function encodeMp4(clip: Clip, { fps, quality = 90 }: Mp4Options): Promise<Uint8Array> {
  const { height, width } = frameSize(clip);
  const encoder = await createEncoder();
  try {
    encoder.outputFilename = `${randomUUID()}.mp4`;
    encoder.width = even(width);
    encoder.height = even(height);
    encoder.frameRate = Math.max(1, Math.round(fps));
    encoder.quantizationParameter = Math.round(51 - 0.41 * quality);
    encoder.groupOfPictures = Math.max(1, Math.round(fps));
    encoder.initialize();
    for (const rgba of rgbaFrames(clip)) encoder.addFrameRgba(rgba);
    encoder.finalize();
    const bytes = encoder.FS.readFile(encoder.outputFilename);
    encoder.FS.unlink(encoder.outputFilename);
    mendIndex(bytes, clip.shape[0]!, fps);
    return withColour(bytes);
  } finally {
    encoder.delete();
  }
}

/** The encoder, without the process-wide error handlers that its runtime installs when it is loaded. */
async function createEncoder() {
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const before = events.map(event => process.rawListeners(event));
  const module = await import('h264-mp4-encoder');
  const loaded = 'default' in module ? (module.default as typeof module) : module;
  const encoder = await loaded.createH264MP4Encoder();
  for (const [index, event] of events.entries()) {
    for (const listener of process.rawListeners(event)) {
      if (!before[index]!.includes(listener)) process.removeListener(event, listener as () => void);
    }
  }
  return encoder;
}

function* rgbaFrames(clip: Clip): Generator<Uint8Array> {
  const { height, width } = frameSize(clip);
  const rgb = toBytes(clip);
  for (let frame = 0; frame < clip.shape[0]!; frame++) {
    const rgba = new Uint8Array(even(height) * even(width) * 4).fill(255);
    let to = 0;
    for (let y = 0; y < even(height); y++) {
      const row = (frame * height + Math.min(y, height - 1)) * width;
      for (let x = 0; x < even(width); x++, to += 4) {
        const from = 3 * (row + Math.min(x, width - 1));
        rgba[to] = rgb[from]!;
        rgba[to + 1] = rgb[from + 1]!;
        rgba[to + 2] = rgb[from + 2]!;
      }
    }
    yield rgba;
  }
}

function even(size: number): number {
  return size + (size % 2);
}
