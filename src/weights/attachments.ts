import type { Folder } from '../io/folder';

/** Files that a pipeline needs besides its weights. A list of names, so that nothing else is ever copied. */
const OF_PIPELINE = ['model_index.json', 'pipeline.json', 'prompts.json'];
const OF_SCHEDULER = ['scheduler_config.json'];
const OF_TEXT = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'spiece.model',
];
const NAMES: ReadonlySet<string> = new Set([...OF_PIPELINE, ...OF_SCHEDULER, ...OF_TEXT]);

/** Folders that may hold the files of a tokenizer, for places that do not list what they hold. */
const TEXT_FOLDERS = ['text', 'tokenizer', 'tokenizer_2', 'tokenizer_3'];

/** Paths, relative and with forward slashes, of the small files of a pipeline: in its folder and one level below. */
export async function findAttachments(folder: Folder): Promise<string[]> {
  const paths = (await folder.list?.()) ?? (await guessed(folder));
  return paths.filter(path => /^([^/]+\/)?([^/]+)$/.test(path) && NAMES.has(path.split('/').at(-1)!)).sort();
}

/** Those of all usual places that are there. */
async function guessed(folder: Folder): Promise<string[]> {
  const usual = [
    ...OF_PIPELINE,
    ...OF_SCHEDULER.map(name => `scheduler/${name}`),
    ...TEXT_FOLDERS.flatMap(part => OF_TEXT.map(name => `${part}/${name}`)),
  ];
  const isThere = await Promise.all(usual.map(path => folder.has(path)));
  return usual.filter((_, i) => isThere[i]);
}
