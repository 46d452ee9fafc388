import { UsageError } from '../errors';
import { readCatalog, type ServedModel } from '../server/catalog';

/**
 * A model of this machine, and what workers call it.
 * @param given a model that ships with ertacache, a folder, or NAME=FOLDER
 * @throws UsageError where there is none
 */
export async function namedModel(given: string): Promise<ServedModel> {
  const isFolder = /[/\\=]/.test(given);
  const { models } = await readCatalog(isFolder ? [given] : []);
  const model = models.find(({ id }) => given === id) ?? (isFolder ? models[0] : undefined);
  if (model) return model;
  throw new UsageError(`There is no model "${given}".`, { hint: 'Give its folder: NAME=FOLDER.' });
}
