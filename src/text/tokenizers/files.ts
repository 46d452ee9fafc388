import type { z } from 'zod';
import { CheckpointError, UnsupportedError } from '../../errors';
import { type Folder, fileIn, readBytesIn } from '../../io/folder';
import { parsePlainJson } from '../../io/plain-json';
import { MAX_FILE } from './limits';

/** The small files of a tokenizer, by name. An opened model offers them under `<folder>/`. */
export interface TokenizerFiles {
  /** How errors call the folder. */
  readonly where: string;
  has(name: string): boolean;
  read(name: string): Promise<Uint8Array>;
}

/** What {@link modelFiles} needs of an opened model. */
export interface FileHolder {
  readonly path: string;
  readonly files: readonly string[];
  readFile(path: string): Promise<Uint8Array>;
}

/** The files of a tokenizer inside an opened model. @param folder `tokenizer`, `tokenizer_2`, … */
export function modelFiles(model: FileHolder, folder: string): TokenizerFiles {
  return {
    where: fileIn(model.path, folder),
    has: name => model.files.includes(`${folder}/${name}`),
    read: name => model.readFile(`${folder}/${name}`),
  };
}

/** The files of a folder. @throws UnsupportedError for one that cannot list them */
export async function folderFiles(folder: Folder): Promise<TokenizerFiles> {
  if (!folder.list) {
    throw new UnsupportedError(`${folder.name} does not list its files.`, {
      hint: 'Open the whole model, and take the tokenizer from it.',
    });
  }
  const names = new Set(await folder.list());
  return { where: folder.name, has: name => names.has(name), read: name => readBytesIn(folder, name) };
}

const FROM_REPOSITORY = 'Take it from the repository that the text encoder is from.';

/** A JSON file, checked. @throws CheckpointError `config_json` */
export async function readJson<T>(files: TokenizerFiles, name: string, schema: z.ZodType<T>): Promise<T> {
  const path = fileIn(files.where, name);
  let value: unknown;
  try {
    value = parsePlainJson(await readText(files, name));
  } catch (cause) {
    // The parser reports nesting beyond its stack as a RangeError.
    if (!(cause instanceof SyntaxError || cause instanceof RangeError)) throw cause;
    throw new CheckpointError('config_json', `${path} is not valid JSON.`, { hint: FROM_REPOSITORY, cause });
  }
  return checked(schema, value, path);
}

/**
 * The content of a JSON file in the form that `schema` asks for.
 * @param part where in the file the value stands
 * @throws CheckpointError `config_json`
 */
export function checked<T>(schema: z.ZodType<T>, value: unknown, path: string, part?: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = [...(part ? [part] : []), ...issue.path].join('.') || 'the file';
  throw new CheckpointError('config_json', `${path}: ${field}: ${issue.message}.`, {
    hint: FROM_REPOSITORY,
  });
}

/** The same for a file that may be missing. */
export async function readOptionalJson<T>(
  files: TokenizerFiles,
  name: string,
  schema: z.ZodType<T>,
): Promise<T | undefined> {
  return files.has(name) ? readJson(files, name, schema) : undefined;
}

/** A file whole. @throws CheckpointError `config_json` for one that is larger than any of its kind */
export async function readBytes(files: TokenizerFiles, name: string): Promise<Uint8Array> {
  const bytes = await files.read(name);
  if (bytes.length <= MAX_FILE) return bytes;
  const path = fileIn(files.where, name);
  throw new CheckpointError('config_json', `${path} has ${bytes.length} bytes, far more than a file of its kind.`, {
    hint: FROM_REPOSITORY,
  });
}

/** A text file in UTF-8. @throws CheckpointError `config_json` */
export async function readText(files: TokenizerFiles, name: string): Promise<string> {
  const bytes = await readBytes(files, name);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CheckpointError('config_json', `${fileIn(files.where, name)} is not UTF-8 text.`, {
      hint: FROM_REPOSITORY,
      cause,
    });
  }
}
