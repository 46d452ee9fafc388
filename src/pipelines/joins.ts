import { CheckpointError, UnsupportedError } from '../errors';
import { parseConfig } from '../io/parse-config';
import type { Joins } from '../models/family';
import { textEncoderClass, textEncoderNames } from '../models/text/registry';
import type { ModelComponent } from '../weights/model-folder';

/**
 * Refuses parts that do not fit together, judged by their configurations: loaded, they would fail at the first step.
 * @param latentChannels of the autoencoder
 * @throws UnsupportedError for a transformer that takes more than the latent, CheckpointError
 */
export function requireJoins(
  { latents, outputs, texts }: Joins,
  latentChannels: number,
  components: ReadonlyMap<string, ModelComponent>,
  path: string,
): void {
  if (latents !== latentChannels) {
    const message = `The transformer of ${path} takes ${latents} channels, and its autoencoder makes ${latentChannels}.`;
    if (latents > latentChannels) {
      throw new UnsupportedError(message, {
        hint: 'It is told more than a text (a picture, a mask, a depth map), which ertacache does not do.',
      });
    }
    throw new CheckpointError('shape_mismatch', message, { hint: 'Take all parts from the same repository.' });
  }
  if (outputs !== latentChannels) {
    const message = `The transformer of ${path} gives ${outputs} channels, and its autoencoder takes ${latentChannels}.`;
    throw new CheckpointError('shape_mismatch', message, { hint: 'Take all parts from the same repository.' });
  }
  for (const [name, width] of Object.entries(texts)) {
    const encoder = components.get(name);
    if (!encoder || !textEncoderNames().includes(encoder.className)) continue;
    const known = textEncoderClass(encoder.className);
    const own = known.width(parseConfig(known.schema, encoder.config, encoder.where));
    if (own === width) continue;
    const message = `The transformer of ${path} takes texts of ${width} channels, and its ${name} makes ${own}.`;
    throw new CheckpointError('shape_mismatch', message, { hint: 'Take all parts from the same repository.' });
  }
}
