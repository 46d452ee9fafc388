import { UsageError } from '../../errors';
import type { ByteFile } from '../../io/byte-file';
import { MOST } from '../../io/counts';
import { type Folder, readTextIn } from '../../io/folder';
import { sha256Stream } from '../../io/sha256';
import { readHeader, storedTensors } from '../safetensors-source';
import { type TensorSource, tensorSource } from '../source';
import { noSettings, type PeftSettings, peftSettings } from './peft';

/** What peft calls the tensors of an adapter, and what it writes beside them. */
export const PEFT_WEIGHTS = 'adapter_model.safetensors';
export const PEFT_CONFIG = 'adapter_config.json';
/** Where diffusers puts a JSON of peft's settings: in the header. */
const PEFT_HEADER = 'lora_adapter_metadata';

/** A LoRA: where it lies, and how much of it is added. */
export interface LoraFile {
  /** The folder that holds it: `memoryFolder`, `httpFolder`, or one of your own. */
  readonly folder: Folder;
  /** Its safetensors file in that folder. */
  readonly file: string;
  /** By how much its change of the weights is multiplied; 1 by default. */
  readonly scale?: number | undefined;
  /** Its SHA-256, where it must be that very one. */
  readonly sha256?: string | undefined;
  /** Which version of its files was checked (`Adapter.version`); any unless told. */
  readonly version?: string | undefined;
  /** The transformer that it is merged into, where a pipeline has two; the first unless told. */
  readonly component?: 'transformer_2' | undefined;
}

/** An opened LoRA. Its caller closes it. */
export interface Adapter {
  /** How errors call it. */
  readonly where: string;
  readonly scale: number;
  readonly source: TensorSource;
  readonly settings: PeftSettings;
  /** What the file says of itself. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Tells one content of its files from another, where the place that they lie in can; nothing is read for it. */
  readonly version: string | undefined;
  /** SHA-256 of its bytes, and of peft's settings where they lie beside it. */
  hash(): Promise<string>;
}

/**
 * Opens a LoRA: headers are read and checked, values are not.
 * @throws CheckpointError, IoError, UsageError, also for a file that is another than the one that was checked
 */
export async function openAdapter({ folder, file: name, scale = 1, version: checked }: LoraFile): Promise<Adapter> {
  const where = folder.pathTo(name);
  if (!(Math.abs(scale) <= MOST.loraScale)) {
    throw new UsageError(`The scale of the LoRA ${where} is ${scale}.`, {
      hint: `Give a number from -${MOST.loraScale} to ${MOST.loraScale}, 1 for all of it.`,
    });
  }
  const file = await folder.open(name);
  try {
    const header = await readHeader(file);
    const beside = await configBeside(folder, name);
    const version = file.version === undefined ? undefined : `${file.version} ${beside ?? ''}`;
    if (checked !== undefined && version !== checked) {
      throw new UsageError(`The LoRA ${where} was changed since the model was opened.`, {
        hint: 'Open the model again, or put the LoRA back as it was.',
      });
    }
    const inside = header.metadata.get(PEFT_HEADER);
    const settings =
      beside !== undefined
        ? peftSettings(beside, folder.pathTo(PEFT_CONFIG))
        : inside !== undefined
          ? peftSettings(inside, `${PEFT_HEADER} in ${where}`)
          : noSettings;
    return {
      where,
      scale,
      source: tensorSource(storedTensors(file, header), [file], where),
      settings,
      metadata: header.metadata,
      version,
      hash: () => hashOf(file, beside),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function configBeside(folder: Folder, name: string): Promise<string | undefined> {
  const path = /^(.*\/)?adapter_model\.safetensors$/.exec(name);
  if (!path) return undefined;
  const config = `${path[1] ?? ''}${PEFT_CONFIG}`;
  return (await folder.has(config)) ? readTextIn(folder, config) : undefined;
}

/** Bytes that are hashed at a time. */
const PIECE = 2 ** 23;

async function hashOf(file: ByteFile, config: string | undefined): Promise<string> {
  const hash = sha256Stream();
  for (let at = 0; at < file.size; at += PIECE) hash.update(await file.read(at, Math.min(file.size, at + PIECE)));
  const weights = hash.digest();
  return config === undefined ? weights : sha256Stream().update(`${weights}\n${config}`).digest();
}
