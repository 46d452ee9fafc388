import { frameDelays } from '../../media/frame-delays';
import { frameSize, frames, isClip, type Media } from '../../media/pixels';
import { toRgba } from '../rgba';
import { chunksOf, riff, riffChunk } from './riff';

/** Encodes one picture as a whole WebP file. */
export type EncodeStill = (rgba: Uint8ClampedArray, width: number, height: number) => Promise<Uint8Array>;

/** What the header says that a file holds. */
const HAS = { animation: 0x02, xmp: 0x04 } as const;

/**
 * A picture or a clip as a WebP file; a clip plays for ever.
 *
 * Source: WebP container specification (RFC 9649, section 2.7).
 * @param media the picture or clip
 * @param encodeStill encodes one picture
 * @param options frames a second of a clip, and a packet that the file is to hold
 * @returns the file's content
 */
export async function encodeWebp(
  media: Media,
  encodeStill: EncodeStill,
  { fps, xmp }: { readonly fps: number; readonly xmp?: string | undefined },
): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height } = frameSize(media);
  const moving = isClip(media);
  const stills: Uint8Array[] = [];
  for (const frame of frames(media)) stills.push(bitstream(await encodeStill(toRgba(frame), width, height)));
  const delays = frameDelays(stills.length, fps, 1);
  const flags = (moving ? HAS.animation : 0) | (xmp === undefined ? 0 : HAS.xmp);
  const pictures = moving
    ? // Background and number of rounds; 0 rounds are without end.
      [riffChunk('ANIM', new Uint8Array(6)), ...stills.map((still, i) => frame(still, width, height, delays[i]!))]
    : stills;
  return riff('WEBP', [
    riffChunk('VP8X', bytesOf([1, flags], [3, 0], [3, width - 1], [3, height - 1])),
    ...pictures,
    ...(xmp === undefined ? [] : [riffChunk('XMP ', new TextEncoder().encode(xmp))]),
  ]);
}

/** The chunk of a WebP file that holds its pixels. */
function bitstream(file: Uint8Array): Uint8Array {
  const found = chunksOf(file).find(({ type }) => type === 'VP8L' || type === 'VP8 ');
  if (!found) throw new Error('The WebP encoder gave no picture.');
  return riffChunk(found.type, found.content);
}

/** One frame at the upper left; it replaces what was there before. */
function frame(still: Uint8Array, width: number, height: number, delay: number): Uint8Array {
  const noBlend = 0x02;
  const head = bytesOf([3, 0], [3, 0], [3, width - 1], [3, height - 1], [3, delay], [1, noBlend]);
  const content = new Uint8Array(head.length + still.length);
  content.set(head);
  content.set(still, head.length);
  return riffChunk('ANMF', content);
}

/** Whole numbers, the lowest byte first, each in so many bytes. */
function bytesOf(...fields: readonly (readonly [bytes: number, value: number])[]): Uint8Array {
  return Uint8Array.from(
    fields.flatMap(([bytes, value]) => Array.from({ length: bytes }, (_, i) => (value >>> (8 * i)) & 0xff)),
  );
}
