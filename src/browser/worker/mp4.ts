// A script of its own, loaded when it is wanted: few pages need it.
import { BufferTarget, canEncodeVideo, Mp4OutputFormat, Output, VideoSample, VideoSampleSource } from 'mediabunny';
import { frameDelays } from '../../media/frame-delays';
import { type Clip, frameSize, frames } from '../../media/pixels';
import { toRgba } from '../rgba';

/** Bits of a pixel: emoji and the like stay sharp. */
const BITS = 2;
/** Small clips take more bits for a pixel. */
const LEAST_BITS = 1e6;
const MILLISECONDS = 1000;

/** Width and height of what is encoded: H.264 counts pixels in pairs. */
const even = (side: number): number => side + (side % 2);

/**
 * A clip as an MP4 file: H.264 by the browser's own encoder, one video track.
 * @returns nothing where the browser encodes no such clip
 */
export async function encodeMp4(clip: Clip, fps: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const size = frameSize(clip);
  const [width, height] = [even(size.width), even(size.height)];
  const bitrate = Math.max(LEAST_BITS, Math.round(BITS * width * height * fps));
  if (!(await canEncodeVideo('avc', { width, height, bitrate }))) return undefined;
  const target = new BufferTarget();
  const output = new Output({ format: new Mp4OutputFormat({ fastStart: 'in-memory' }), target });
  const source = new VideoSampleSource({ codec: 'avc', bitrate });
  output.addVideoTrack(source, { frameRate: fps });
  await output.start();
  const delays = frameDelays(clip.shape[0] as number, fps, 1);
  let at = 0;
  for (const [i, frame] of frames(clip).entries()) {
    const duration = (delays[i] as number) / MILLISECONDS;
    const sample = new VideoSample(padded(toRgba(frame), size.width, size.height), {
      format: 'RGBX',
      codedWidth: width,
      codedHeight: height,
      timestamp: at,
      duration,
    });
    await source.add(sample);
    sample.close();
    at += duration;
  }
  await output.finalize();
  return new Uint8Array(target.buffer as ArrayBuffer);
}

/** The pixels with an odd last row or column doubled. */
function padded(rgba: Uint8ClampedArray, width: number, height: number): Uint8Array {
  if (width % 2 === 0 && height % 2 === 0) return new Uint8Array(rgba.buffer, rgba.byteOffset, rgba.byteLength);
  const whole = new Uint32Array(even(width) * even(height));
  const pixels = new Uint32Array(rgba.buffer, rgba.byteOffset, width * height);
  for (let y = 0; y < even(height); y++) {
    for (let x = 0; x < even(width); x++) {
      const from = Math.min(y, height - 1) * width + Math.min(x, width - 1);
      whole[y * even(width) + x] = pixels[from] as number;
    }
  }
  return new Uint8Array(whole.buffer);
}
