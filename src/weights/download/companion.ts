import { wholeBody } from '../../io/http-request';
import { parseConfigJson } from '../model-config';
import { SPLIT_PIPELINES, textRepository } from '../split-names';
import { type HubFile, type HubOptions, type HubRepository, hubAddress, request } from './repository';

/** A configuration is a page of text. */
const MOST_BYTES = 1_000_000;

/**
 * The repository that a model's text encoder lies in, where it is another one: the `config.json` of its transformer
 * names it.
 * @param files those of the model that are brought
 */
export async function companionOf(
  { name, commit }: Pick<HubRepository, 'name' | 'commit'>,
  files: readonly HubFile[],
  options: HubOptions,
): Promise<string | undefined> {
  const paths = files.map(({ path }) => path);
  if (paths.includes('model_index.json')) return undefined;
  const config = paths.find(path => /(^|\/)transformer\/config\.json$/.test(path));
  if (config === undefined || paths.some(path => /(^|\/)text_encoder\/config\.json$/.test(path))) return undefined;
  const url = hubAddress(options, name, 'resolve', commit, config);
  const response = await request(url, options);
  const text = new TextDecoder().decode(await wholeBody(url, response, MOST_BYTES, options.signal));
  const { className, config: settings } = parseConfigJson(text, config);
  const split = SPLIT_PIPELINES.get(className);
  return split && textRepository(split, settings, `${name}/${config}`);
}
