import { frameSize, type Image, imageSize, type Media } from '../../media/pixels';
import type { PipelineInfo } from '../../sampling/pipeline';

/** A word on a picture to begin with whose proportions are not kept; nothing where they are. */
export function stretchNote(init: Image, drawn: Media): string | undefined {
  const [given, { width, height }] = [imageSize(init), frameSize(drawn)];
  const ratio = (given.width * height) / (given.height * width);
  // Cutting to a multiple of the model's patch changes proportions by a little.
  if (ratio > 0.95 && ratio < 1.05) return undefined;
  return `The picture of ${given.width} × ${given.height} is stretched to ${width} × ${height}.\n`;
}

/** A word on the words of a prompt that a model does not know; nothing where it knows them all. */
export function unknownNote({ id }: PipelineInfo, unknown: readonly string[]): string | undefined {
  if (unknown.length === 0) return undefined;
  return `${id} does not know ${unknown.map(word => `"${word}"`).join(', ')}: left out.\n`;
}

/** A word on a run that no shipped policy fits. */
export function noPolicyNote({ id }: PipelineInfo, steps: number, guidance: number): string {
  return (
    `No shipped policy fits ${id} at ${steps} steps and guidance ${guidance}: every step is computed. ` +
    'Make one with `ertacache calibrate`.\n'
  );
}
