import { UsageError } from '../errors';
import { imageSize, type Resize } from '../media/pixels';

/** Gives a picture back as it is. @throws UsageError naming both sizes when another one is wanted */
export const sameSize: Resize = async (image, height, width) => {
  const size = imageSize(image);
  if (size.height === height && size.width === width) return image;
  const sizes = `${size.height}x${size.width}, and ${height}x${width} is drawn`;
  throw new UsageError(`The picture to begin with is ${sizes}.`, {
    hint: 'Bring it to that size first, or pass `resize`, which does.',
  });
};
