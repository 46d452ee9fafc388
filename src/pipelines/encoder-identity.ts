import { UsageError } from '../errors';
import { sha256Stream } from '../io/sha256';
import { textEncoderClass, textEncoderNames } from '../models/text/registry';
import type { Embeddings } from '../sampling/embeddings';
import { isFloating } from '../weights/dtype';
import type { ModelComponent } from '../weights/model-folder';
import { withoutTensors } from '../weights/selected-source';

/** Values of each tensor that its encoder's identity is made of. */
const SAMPLED = 64;

/**
 * Tells one text encoder from another: its configuration, the names and shapes of its tensors, and the first values of
 * each. Reading all 9.5 GB of T5-XXL only to know that they are the same would cost as much as encoding with them.
 */
export async function encoderIdentity({ className, source: whole }: ModelComponent): Promise<string> {
  const known = textEncoderNames().includes(className) ? textEncoderClass(className) : undefined;
  const source = withoutTensors(whole, known?.unused ?? []);
  const hash = sha256Stream().update(className);
  for (const name of source.names) {
    const { dtype, shape, size } = source.entry(name);
    hash.update(`${JSON.stringify([name, shape])}\n`);
    if (!isFloating(dtype)) continue;
    const values = await source.read(name, { start: 0, count: Math.min(SAMPLED, size) });
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return hash.digest();
}

/**
 * Refuses embeddings that another text encoder made.
 * @param encoderOf the encoder of a folder's name
 * @throws UsageError
 */
export async function requireOwn(
  { where, encoders }: Embeddings,
  model: string,
  encoderOf: (name: string) => ModelComponent | undefined,
): Promise<void> {
  for (const [name, identity] of Object.entries(encoders)) {
    const encoder = encoderOf(name);
    if (encoder && (await encoderIdentity(encoder)) === identity) continue;
    throw new UsageError(`The embeddings in ${where} were made by another ${name} than that of ${model}.`, {
      hint: 'Make them with this model: leave the embeddings away (--embeddings), and keep others (--save-embeddings).',
    });
  }
}
