import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clip, fromBytes, type Image } from '../../src/media/pixels';

/** An image whose bytes all differ from their neighbours'. */
export function testImage(height: number, width: number, salt = 0): Image {
  const bytes = Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * 37 + salt * 101 + (i >> 5)) % 256);
  return fromBytes(bytes, [height, width, 3]);
}

/** A clip of smooth colours that drift, so that lossy codecs have something fair to do. */
export function testClip(frames: number, height: number, width: number): Clip {
  const bytes = new Uint8Array(frames * height * width * 3);
  let next = 0;
  for (let f = 0; f < frames; f++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        bytes[next++] = Math.round(127 + 120 * Math.sin((x + 3 * f) / 9));
        bytes[next++] = Math.round(127 + 120 * Math.sin((y - 2 * f) / 11));
        bytes[next++] = Math.round(127 + 60 * Math.sin((x + y) / 15));
      }
    }
  }
  return fromBytes(bytes, [frames, height, width, 3]);
}

/** A folder for the running test; removed after it. */
export function scratchFolder(): { path: (...names: string[]) => string } {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'ertacache-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));
  return { path: (...names) => join(root, ...names) };
}
