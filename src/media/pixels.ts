import ndarray, { type NdArray } from 'ndarray';
import { NumericError, ShapeError } from '../errors';
import { isObject, wrongArgument } from '../io/arguments';
import { LIMITS } from './limits';

/** A picture: float32, shape `[H, W, 3]`, red, green and blue in [0, 1], row-major. */
export type Image = NdArray<Float32Array>;

/** A moving picture: float32, shape `[F, H, W, 3]`, red, green and blue in [0, 1], row-major. */
export type Clip = NdArray<Float32Array>;

/** An image or a clip; the number of axes tells them apart. */
export type Media = Image | Clip;

/** An image over `data`, which is not copied. */
export function image(data: Float32Array, height: number, width: number): Image {
  return shaped(data, [height, width, 3]);
}

/** A clip over `data`, which is not copied. */
export function clip(data: Float32Array, frames: number, height: number, width: number): Clip {
  return shaped(data, [frames, height, width, 3]);
}

/** True for a clip, false for an image; throws a ShapeError for anything else. */
export function isClip(media: Media): boolean {
  const isArray = isObject(media) && Array.isArray(media.shape) && 'data' in media && typeof media.get === 'function';
  if (!isArray) {
    throw wrongArgument(
      'media',
      media,
      'a picture or a clip',
      'It is what `draw` gives as media, and what `readMedia` gives.',
    );
  }
  const { shape } = media as Media;
  if ((shape.length !== 3 && shape.length !== 4) || shape.at(-1) !== 3 || shape.some(size => size < 1)) {
    throw new ShapeError(`Pixels of shape [${shape}] are neither an image nor a clip.`, {
      hint: 'An image is [height, width, 3] and a clip is [frames, height, width, 3], with no size zero.',
    });
  }
  return shape.length === 4;
}

/** Height and width of an image or of a clip's frames. */
export function frameSize(media: Media): { height: number; width: number } {
  isClip(media);
  return { height: media.shape.at(-3)!, width: media.shape.at(-2)! };
}

/** Height and width of an image; a clip is refused. */
export function imageSize(image: Image): { height: number; width: number } {
  if (!isClip(image)) return frameSize(image);
  throw new ShapeError(`A clip of ${image.shape[0]} frames was given where one picture is needed.`, {
    hint: 'Take its frames one by one.',
  });
}

/** The frames of a clip, or the image itself as the only one; views, not copies. */
export function frames(media: Media): Image[] {
  if (!isClip(media)) return [media];
  return Array.from({ length: media.shape[0]! }, (_, index) => media.pick(index, null, null, null));
}

/** One clip of images that all have the same size. */
export function joinFrames(images: readonly Image[]): Clip {
  const first = images[0];
  if (first === undefined) throw new ShapeError('A clip needs at least one frame.');
  const { height, width } = imageSize(first);
  const size = height * width * 3;
  const joined = clip(new Float32Array(images.length * size), images.length, height, width);
  for (const [index, frame] of images.entries()) {
    const own = imageSize(frame);
    if (own.height !== height || own.width !== width) {
      throw new ShapeError(`Frame ${index} is [${frame.shape}] and the first is [${first.shape}].`, {
        hint: 'All frames of a clip have one size.',
      });
    }
    joined.data.set(dense(frame), index * size);
  }
  return joined;
}

/** The values of `media` in row-major order; shared with it where it lies so already, else copied. */
export function dense(media: Media): Float32Array {
  isClip(media);
  if (isRowMajor(media)) return media.data.subarray(media.offset, media.offset + media.size);
  const values = new Float32Array(media.size);
  const [height, width, channels] = media.shape.slice(-3) as [number, number, number];
  let next = 0;
  for (const frame of frames(media)) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) for (let c = 0; c < channels; c++) values[next++] = frame.get(y, x, c);
    }
  }
  return values;
}

/**
 * Bytes of an image or a clip, row-major: `round(255 · clamp(v, 0, 1))`, halves up. Truncating, as some video writers
 * do, would darken by half a level and not undo `fromBytes`. NaN is refused rather than painted black.
 */
export function toBytes(media: Media): Uint8Array {
  const values = dense(media);
  const bytes = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Number.isNaN(value)) {
      throw new NumericError('The picture holds values that are not numbers.', {
        hint: 'The sampling run diverged; try more steps, less guidance, or float32 weights.',
      });
    }
    bytes[i] = Math.floor(255 * Math.min(Math.max(value, 0), 1) + 0.5);
  }
  return bytes;
}

/** What every byte shows. */
const SHOWN = Float32Array.from({ length: 256 }, (_, byte) => byte / 255);

/** The image or clip that `bytes` show: `v / 255`. `toBytes` gives the same bytes back. */
export function fromBytes(bytes: Uint8Array, shape: readonly number[]): Media {
  const values = new Float32Array(bytes.length);
  // A plain loop: `Float32Array.from` first makes an array of boxed numbers, which fills the heap at 40 million pixels.
  for (let i = 0; i < bytes.length; i++) values[i] = SHOWN[bytes[i]!]!;
  return shaped(values, shape);
}

/** The image or clip as a file shows it: every value rounded to one of 256 levels. */
export function asWritten(media: Media): Media {
  return fromBytes(toBytes(media), media.shape);
}

function shaped(data: Float32Array, shape: readonly number[]): Media {
  const size = shape.reduce((product, length) => product * length, 1);
  if (size !== data.length) {
    throw new ShapeError(`${data.length} values do not fill pixels of shape [${shape}].`);
  }
  const media = ndarray(data, [...shape]);
  isClip(media);
  return media;
}

function isRowMajor(media: Media): boolean {
  let expected = 1;
  for (let axis = media.shape.length - 1; axis >= 0; axis--) {
    if (media.stride[axis] !== expected && media.shape[axis] !== 1) return false;
    expected *= media.shape[axis]!;
  }
  return true;
}

/** `media` with every pixel drawn `factor × factor` large. */
export function enlarged(media: Media, factor: number): Media {
  if (factor === 1) return media;
  const pixels = (media.size / 3) * factor * factor;
  if (pixels > LIMITS.pixels) {
    throw new ShapeError(`A picture or clip of ${pixels} pixels is more than can be made of it by enlarging.`, {
      hint: `At most ${LIMITS.pixels} pixels are made: enlarge it fewer times than ${factor}.`,
    });
  }
  const images = frames(media).map(frame => {
    const { height, width } = frameSize(frame);
    const large = image(new Float32Array(height * width * factor * factor * 3), height * factor, width * factor);
    for (let y = 0; y < height * factor; y++) {
      for (let x = 0; x < width * factor; x++) {
        for (let c = 0; c < 3; c++) large.set(y, x, c, frame.get(Math.floor(y / factor), Math.floor(x / factor), c));
      }
    }
    return large;
  });
  return isClip(media) ? joinFrames(images) : images[0]!;
}

/**
 * Brings a picture to another size, stretched where the proportions differ. The same size gives it back.
 * @param image `[H, W, 3]`; it is not changed
 * @param height rows of the result
 * @param width columns of the result
 * @returns `[height, width, 3]`
 */
export type Resize = (image: Image, height: number, width: number) => Promise<Image>;
