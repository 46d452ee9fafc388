import { parseConfig } from '../io/parse-config';
import type { Demand } from '../models/workload';
import { wordTableConfig } from '../text/word-table';
import { componentOf, type OpenModel, readModelJson } from '../weights/open-model';
import { pixelDemand } from './pixel-formats';

/** The work that a pipeline does for one picture, where it is not what is usual for its transformer's class. */
export async function usualDemand(files: OpenModel): Promise<Demand> {
  if (!files.files.includes('pipeline.json')) return {};
  const { className } = componentOf(files, 'transformer');
  const where = 'text/tokenizer_config.json';
  const { max_length: textTokens } = parseConfig(wordTableConfig, await readModelJson(files, where), where);
  return { ...pixelDemand(className, await readModelJson(files, 'pipeline.json')), textTokens };
}
