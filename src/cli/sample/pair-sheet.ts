import { frames, type Image, image, imageSize, joinFrames, type Media } from '../../media/pixels';
import { renderSheet } from '../../media/sheet';
import { layOut, type Sheet, type SheetRow } from '../../media/sheet-layout';
import { mean } from '../../metrics/statistics';
import { writtenPsnr } from '../../metrics/video';
import type { Seed } from '../../random/seed';

/** A picture or clip, drawn with reuse and without. */
export interface DrawnPair {
  readonly prompt: string;
  readonly seed: Seed;
  readonly cached: Media;
  readonly cachedForwards: number;
  readonly plain: Media;
  readonly plainForwards: number;
}

/** Pairs side by side in one row of the sheet. */
const PER_ROW = 8;
const CELL = { least: 128, most: 512 };

/** A sheet with every cached picture above the uncached one; that of clips is a clip itself. */
export async function pairSheet(
  pairs: readonly DrawnPair[],
  words: Pick<Sheet, 'title' | 'subtitle' | 'footer'>,
): Promise<Media> {
  const scores = pairs.map(({ cached, plain }) => mean(writtenPsnr(plain, cached)));
  const sheets: Image[] = [];
  const count = frames(pairs[0]!.cached).length;
  for (let frame = 0; frame < count; frame++) {
    const shown = pairs.map((pair, i) => ({
      ...pair,
      decibels: scores[i]!,
      above: frames(pair.cached)[frame]!,
      below: frames(pair.plain)[frame]!,
    }));
    sheets.push(await renderSheet({ ...words, rows: rowsOf(shown), cell: cellOf(imageSize(shown[0]!.above)) }));
  }
  return count === 1 ? sheets[0]! : joinFrames(sheets);
}

/**
 * Height and width of the sheet of pairs that are not drawn yet.
 * @param size of a picture in pixels
 */
export function pairSheetSize(
  pairs: readonly Pick<DrawnPair, 'prompt' | 'seed'>[],
  words: Pick<Sheet, 'title' | 'subtitle' | 'footer'>,
  size: { readonly height: number; readonly width: number },
): { readonly height: number; readonly width: number } {
  const blank = image(new Float32Array(3 * size.height * size.width), size.height, size.width);
  const drawn = { above: blank, below: blank, cachedForwards: 1, plainForwards: 1, decibels: 100 };
  return layOut({ ...words, rows: rowsOf(pairs.map(pair => ({ ...pair, ...drawn }))), cell: cellOf(size) });
}

interface ShownPair extends Pick<DrawnPair, 'prompt' | 'seed' | 'cachedForwards' | 'plainForwards'> {
  readonly decibels: number;
  readonly above: Image;
  readonly below: Image;
}

const rowsOf = (pairs: readonly ShownPair[]): SheetRow[] =>
  range(0, pairs.length, PER_ROW).flatMap(from => {
    const some = pairs.slice(from, from + PER_ROW);
    return [
      {
        header: 'ertacache',
        note: forwards(some.map(p => p.cachedForwards)),
        images: some.map(p => p.above),
        captions: some.map(p => `${p.prompt}, seed ${p.seed}: ${p.decibels.toFixed(1)} dB`),
      },
      {
        header: 'every step computed',
        note: forwards(some.map(p => p.plainForwards)),
        images: some.map(p => p.below),
      },
    ];
  });

function cellOf({ width, height }: { readonly width: number; readonly height: number }): number {
  return Math.min(CELL.most, Math.max(CELL.least, width, height));
}

/** Work, not time: the first run of a command also compiles and allocates, so its seconds would flatter the cache. */
function forwards(counts: readonly number[]): string {
  return `${Number(mean(counts).toFixed(1))} forward passes`;
}

function range(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step);
}
