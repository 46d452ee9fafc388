/**
 * How long each frame shows, in milliseconds that are multiples of `unit`. Rounding is of the running time, so that
 * a clip of any length plays at `fps` although no single frame may.
 */
export function frameDelays(frames: number, fps: number, unit: number): number[] {
  const end = (frame: number) => Math.round((1000 * frame) / fps / unit) * unit;
  return Array.from({ length: frames }, (_, frame) => end(frame + 1) - end(frame));
}
