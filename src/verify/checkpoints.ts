import { join } from 'node:path';
import { modelClass, parseConfig } from '../models/registry';
import { loadStore } from '../weights/load';
import { openModelFolder } from '../weights/model-folder';
import type { CaseRunner } from './golden-case';
import { produceForward } from './transformers';

const WEIGHT = 'weight/';

/** Runs a case of the group `checkpoints`: a model folder is read, widened to float32 and run once. */
export const runCheckpoint: CaseRunner = async (golden, produce) => {
  const { className, config, source, where } = await openModelFolder(join(golden.folder, 'transformer'));
  try {
    for (const name of golden.expected.keys()) {
      if (name.startsWith(WEIGHT)) produce(name, await source.read(name.slice(WEIGHT.length)));
    }
    const known = modelClass(className);
    const parsed = parseConfig(known.schema, config, join(where, 'config.json'));
    const blocks = known.blockNames(parsed);
    const weights = await loadStore(source, known.parameters(parsed), { blocks, where });
    try {
      await produceForward({ ...golden, className }, known.create(parsed, weights), produce);
    } finally {
      weights.dispose();
    }
  } finally {
    await source.close();
  }
};
