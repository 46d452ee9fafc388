/*
 * Pipelines whose parts lie in several repositories: the one that is published under the model's name holds the
 * transformer and names another for the text encoder. They are read as a folder that has everything in its place.
 */
import { CheckpointError, UsageError } from '../errors';
import { memoryFile } from '../io/byte-file';
import { type Folder, within } from '../io/folder';
import { printable } from '../printable';
import { readConfig } from './model-config';
import { SPLIT_PIPELINES, type SplitPipeline, textRepository } from './split-names';

/**
 * Finds another repository, where the model's own folder does not hold it.
 * @param name of the repository, `owner/name`
 * @returns its folder; undefined where it is not there
 */
export type FindRepository = (name: string) => Promise<Folder | undefined>;

const INDEX = 'model_index.json';
const SCHEDULER = 'scheduler/scheduler_config.json';

/** Folders in which a repository of several models keeps each. */
export const SUBFOLDERS: readonly string[] = ['minit2i-b-16', 'minit2i-l-16'];

/**
 * A split pipeline as a whole one; undefined for any other folder, and for a pipeline that is whole already.
 * @throws UsageError for a folder of several models
 */
export async function splitPipeline(folder: Folder, find: FindRepository = async () => undefined) {
  if ((await folder.has(INDEX)) && (await folder.has('text_encoder/config.json'))) return undefined;
  const root = await modelRoot(folder);
  if (!root) return undefined;
  const transformer = within(root, 'transformer');
  const { className, config } = await readConfig(transformer);
  const known = SPLIT_PIPELINES.get(className);
  if (!known) return undefined;
  const text = await textFolders([root, folder], textRepository(known, config, transformer.name), find);
  return assembled(folder, { root, known, text });
}

/** The folder with the transformer: this one, or the only one of those that a repository keeps models in. */
async function modelRoot(folder: Folder): Promise<Folder | undefined> {
  if (await folder.has('transformer/config.json')) return folder;
  const found: string[] = [];
  for (const name of SUBFOLDERS) if (await folder.has(`${name}/transformer/config.json`)) found.push(name);
  if (found.length < 2) return found[0] === undefined ? undefined : within(folder, found[0]);
  throw new UsageError(`${folder.name} holds ${found.join(' and ')}.`, {
    hint: `Name one of them: ${found.map(name => folder.pathTo(name)).join(' or ')}.`,
  });
}

interface TextFolders {
  readonly encoder: Folder;
  readonly tokenizer: Folder;
}

/** Encoder and tokenizer, in folders of their own or in one. */
async function textFolders(
  folders: readonly Folder[],
  repository: string,
  find: FindRepository,
): Promise<TextFolders | undefined> {
  for (const folder of folders) {
    const [encoder, tokenizer] = [within(folder, 'text_encoder'), within(folder, 'tokenizer')];
    if (await encoder.has('config.json')) return { encoder, tokenizer };
  }
  for (const folder of folders) {
    const inside = within(folder, repository);
    if (await inside.has('config.json')) return { encoder: inside, tokenizer: inside };
  }
  const elsewhere = await find(repository);
  return elsewhere && { encoder: elsewhere, tokenizer: elsewhere };
}

interface Parts {
  readonly root: Folder;
  readonly known: SplitPipeline;
  readonly text: TextFolders | undefined;
}

/** Of a folder that holds both, what belongs to the encoder; all else is the tokenizer's. */
const OF_ENCODER = /^(config\.json|.*\.safetensors(\.index(\.\w+)?\.json)?)$/;

function assembled(folder: Folder, { root, known, text }: Parts): Folder {
  const encoded = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value, null, 2));
  const made = new Map<string, Uint8Array>([
    [
      INDEX,
      encoded({
        _class_name: known.pipeline,
        scheduler: ['diffusers', known.scheduler],
        transformer: ['diffusers', known.transformer],
        ...(text && {
          text_encoder: ['transformers', 'T5EncoderModel'],
          tokenizer: ['transformers', 'T5TokenizerFast'],
        }),
      }),
    ],
    [SCHEDULER, encoded({ _class_name: known.scheduler })],
  ]);

  /** Where a path of the whole folder really is. */
  function placeOf(path: string): { readonly in: Folder; readonly path: string } | undefined {
    const [part, ...rest] = path.split('/');
    const inner = rest.join('/');
    if (part === 'transformer' || path === SCHEDULER) return { in: root, path };
    if (part === 'text_encoder' && text && OF_ENCODER.test(inner)) return { in: text.encoder, path: inner };
    if (part === 'tokenizer' && text && !OF_ENCODER.test(inner)) return { in: text.tokenizer, path: inner };
    return undefined;
  }

  async function has(path: string): Promise<boolean> {
    const place = placeOf(path);
    return made.has(path) || (place !== undefined && (await place.in.has(place.path)));
  }

  const own: Folder = {
    name: folder.name,
    pathTo(path) {
      const place = placeOf(path);
      return place ? place.in.pathTo(place.path) : folder.pathTo(path);
    },
    has,
    async open(path, options) {
      const place = placeOf(path);
      if (place && (await place.in.has(place.path))) return place.in.open(place.path, options);
      const bytes = made.get(path);
      if (bytes) return memoryFile(own.pathTo(path), bytes);
      throw new CheckpointError('missing_config', `There is no ${printable(own.pathTo(path))}.`, {
        hint: 'Download the model again.',
      });
    },
  };
  return own;
}
