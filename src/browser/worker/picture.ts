import { UsageError } from '../../errors';
import { sha256 } from '../../io/sha256';
import { fromBytes, type Image, imageSize, isClip, type Resize } from '../../media/pixels';
import { fromPlainMedia } from '../plain-media';
import type { PlainMedia, PlainRequest } from '../protocol';
import { toRgba } from '../rgba';

/** A picture to begin with, and what receipts say of it. */
export interface Begun {
  readonly image: Image;
  readonly init: { readonly path: string; readonly sha256?: string; readonly strength?: number | undefined };
}

/** The picture that a request begins with. @throws UsageError for a clip, and for a file that is no picture */
export async function begunWith({ picture, strength }: NonNullable<PlainRequest['init']>): Promise<Begun> {
  const how = strength === undefined ? {} : { strength };
  if (!(picture instanceof Blob)) return { image: imageOf(picture), init: { path: 'picture', ...how } };
  const path = picture instanceof File ? picture.name : 'picture';
  const hash = sha256(new Uint8Array(await picture.arrayBuffer()));
  return { image: await decoded(picture, path), init: { path, sha256: hash, ...how } };
}

function imageOf(plain: PlainMedia): Image {
  const media = fromPlainMedia(plain);
  if (!isClip(media)) return media;
  throw new UsageError('A clip was given to begin with, and a picture is wanted.', { hint: 'Give one of its frames.' });
}

/** Colours as they are in the file; what is clear is put on white. */
async function decoded(file: Blob, name: string): Promise<Image> {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: 'none' }).catch(() => {
    throw new UsageError(`${name} is no picture that this browser can read.`, {
      hint: 'Give a PNG, JPEG or WebP file.',
    });
  });
  const { width, height } = bitmap;
  const image = drawnOn(width, height, context => context.drawImage(bitmap, 0, 0));
  bitmap.close();
  return image;
}

/** A picture at another size, stretched where the proportions differ, by the browser's own filter. */
export const resized: Resize = async (image, height, width) => {
  const size = imageSize(image);
  if (size.height === height && size.width === width) return image;
  const given = new OffscreenCanvas(size.width, size.height);
  contextOf(given).putImageData(new ImageData(toRgba(image), size.width, size.height), 0, 0);
  return drawnOn(width, height, context => context.drawImage(given, 0, 0, width, height));
};

function drawnOn(width: number, height: number, draw: (context: OffscreenCanvasRenderingContext2D) => void): Image {
  const context = contextOf(new OffscreenCanvas(width, height));
  context.fillStyle = 'white';
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = 'high';
  draw(context);
  const { data } = context.getImageData(0, 0, width, height);
  return fromBytes(
    new Uint8Array(data).filter((_, i) => i % 4 < 3),
    [height, width, 3],
  );
}

function contextOf(canvas: OffscreenCanvas): OffscreenCanvasRenderingContext2D {
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context)
    throw new UsageError('This browser draws on no canvas in a worker.', { hint: 'Give pixels of the right size.' });
  return context;
}
