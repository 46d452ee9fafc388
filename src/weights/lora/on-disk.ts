import { basename, dirname } from 'node:path';
import { CheckpointError, IoError } from '../../errors';
import { diskFolder } from '../../io/disk-folder';
import { isFile, isFolder } from '../../io/node-file';
import { type LoraFile, PEFT_WEIGHTS } from './adapter';

/** A LoRA on disk. */
export interface LoraPath extends Omit<LoraFile, 'folder' | 'file'> {
  /** A safetensors file, or a folder as peft or diffusers write one. */
  readonly path: string;
}

/** What libraries call the file of a LoRA in its folder. */
export const LORA_WEIGHTS = [PEFT_WEIGHTS, 'pytorch_lora_weights.safetensors'];

/** Finds a LoRA on disk. @throws IoError or CheckpointError when there is none */
export async function loraAt({ path, ...how }: LoraPath): Promise<LoraFile> {
  if (await isFile(path)) return { ...how, folder: diskFolder(dirname(path)), file: basename(path) };
  if (!(await isFolder(path))) {
    throw new IoError(`There is no LoRA ${path}.`, {
      hint: 'Give a .safetensors file or a folder of peft; on the command line by --lora, where its scale may follow, as in style.safetensors:0.8.',
    });
  }
  const folder = diskFolder(path);
  const files = ((await folder.list?.()) ?? []).filter(name => /^[^/]+\.safetensors$/.test(name));
  const file = LORA_WEIGHTS.find(name => files.includes(name)) ?? (files.length === 1 ? files[0] : undefined);
  if (file !== undefined) return { ...how, folder, file };
  const what = files.length === 0 ? 'holds no .safetensors file' : `holds ${files.length} .safetensors files`;
  throw new CheckpointError('missing_weights', `${path} ${what}.`, { hint: 'Give the file of the LoRA itself.' });
}
