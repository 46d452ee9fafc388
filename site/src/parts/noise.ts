/** Pixels to a side. */
const SIZE = 64;

let made: ImageData | undefined;

/** A square of noise, which every picture begins as: what stands where none is drawn yet. */
export function noise(): ImageData {
  if (made) return made;
  made = new ImageData(SIZE, SIZE);
  const { data } = made;
  let state = 0x2545f491;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < data.length; i++) {
    // The sum of a few is near to normally distributed.
    data[i] = i % 4 === 3 ? 255 : 255 * (0.5 + 0.62 * (next() + next() + next() - 1.5));
  }
  return made;
}
