import { CheckpointError } from '../errors';
import { type Folder, lastPart } from '../io/folder';
import { HEAD_BYTES } from './safetensors';
import { safetensorsSource } from './safetensors-source';
import { type Guess, sniff, sniffNames } from './sniff';
import type { TensorSource } from './source';

/** Files that are looked at, at most: what is in a folder is told by a few. */
const LOOKED_AT = 8;
const WEIGHTS = /^[^/]+\.(safetensors|gguf|bin|ckpt|pt|pth|zip|npz|h5|onnx)$/i;

/** Refuses tensors that are no model of their own. @throws CheckpointError `unexpected_key` */
export function refuseStrange({ names }: TensorSource, where: string): void {
  const guess = sniffNames(names);
  if (guess) throw new CheckpointError('unexpected_key', `${where} is ${guess.what}.`, { hint: guess.hint });
}

/**
 * Says what a folder without a `config.json` is, as far as its files tell; says nothing where they do not.
 * @throws CheckpointError `missing_config`
 */
export async function refuseStrangeFolder(folder: Folder): Promise<void> {
  const files = (await folder.list?.().catch(() => [])) ?? [];
  for (const name of files.filter(file => WEIGHTS.test(file)).slice(0, LOOKED_AT)) {
    const guess = await guessOf(folder, name).catch(() => undefined);
    if (!guess) continue;
    throw new CheckpointError('missing_config', `${folder.name} is no model: ${lastPart(name)} is ${guess.what}.`, {
      hint: guess.hint,
    });
  }
}

async function guessOf(folder: Folder, name: string): Promise<Guess | undefined> {
  const file = await folder.open(name);
  try {
    const guess = sniff(await file.read(0, Math.min(HEAD_BYTES, file.size)));
    if (guess || !name.endsWith('.safetensors')) return guess;
    return sniffNames((await safetensorsSource(file)).names);
  } finally {
    await file.close();
  }
}
