/** What a player learns from the index of an MP4 with one video track. */
export interface Mp4Track {
  codec: string;
  frames: number;
  seconds: number;
  width: number;
  height: number;
  /** Primaries, transfer, matrix and whether the range is full, as the file says. */
  colour: number[];
}

/** Reads the index (`moov`) of an MP4, and checks that every frame lies inside the file. */
export function inspectMp4(bytes: Buffer): Mp4Track {
  const track = box(bytes, 'moov', 'trak');
  const media = box(track, 'mdia');
  const table = box(media, 'minf', 'stbl');
  const header = box(media, 'mdhd');
  const sizes = box(table, 'stsz');
  const times = box(table, 'stts');
  const entry = box(table, 'stsd').subarray(8);
  const colour = box(entry.subarray(86), 'colr');
  if (colour.toString('latin1', 0, 4) !== 'nclx') throw new Error('colours are said in another way');
  const frames = sizes.readUInt32BE(8);
  const total = Array.from({ length: frames }, (_, i) => sizes.readUInt32BE(12 + 4 * i)).reduce((a, b) => a + b, 0);
  if (box(table, 'stco').readUInt32BE(8) + total > bytes.length) throw new Error('frames lie outside the file');
  const ticks = times.readUInt32BE(8) * times.readUInt32BE(12);
  return {
    codec: entry.toString('latin1', 4, 8),
    frames,
    seconds: ticks / header.readUInt32BE(12),
    width: entry.readUInt16BE(32),
    height: entry.readUInt16BE(34),
    colour: [4, 6, 8].map(at => colour.readUInt16BE(at)).concat((colour[10] as number) >> 7),
  };
}

/** The content of the box at `path`. */
function box(bytes: Buffer, ...path: string[]): Buffer {
  for (let at = 0; at < bytes.length; at += bytes.readUInt32BE(at)) {
    if (bytes.toString('latin1', at + 4, at + 8) !== path[0]) continue;
    const content = bytes.subarray(at + 8, at + bytes.readUInt32BE(at));
    return path.length === 1 ? content : box(content, ...path.slice(1));
  }
  throw new Error(`there is no ${path[0]}`);
}
