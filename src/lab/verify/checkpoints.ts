import { join } from 'node:path';
import { isFile } from '../../io/node-file';
import { parseConfig } from '../../io/parse-config';
import { familyOf } from '../../models/families';
import { openModelFolderAt, openSafetensorsAt } from '../../weights/disk';
import { loadStore } from '../../weights/load';
import type { TensorSource } from '../../weights/source';
import type { CaseRunner, GoldenCase, Produce } from './golden-case';
import { produceForward } from './transformers';

const WEIGHT = 'weight/';

/**
 * Runs a case of the group `checkpoints`: a model folder is read, widened to float32 and run once; or a file of one
 * tensor for every element type is read, as bit patterns and as float32.
 */
export const runCheckpoint: CaseRunner = async (golden, produce) => {
  const values = join(golden.folder, 'values.safetensors');
  if (await isFile(values)) return readTypes(await openSafetensorsAt(values), golden, produce);
  const { className, config, source, where } = await openModelFolderAt(join(golden.folder, 'transformer'));
  try {
    for (const name of golden.expected.keys()) {
      if (name.startsWith(WEIGHT)) produce(name, await source.read(name.slice(WEIGHT.length)));
    }
    const known = familyOf(className);
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

/** Hands over `name.f32` and `name.bits` of every tensor that is expected. */
async function readTypes(source: TensorSource, golden: GoldenCase, produce: Produce): Promise<void> {
  try {
    for (const expected of golden.expected.keys()) {
      const [, name, form] = /^(.*)\.(f32|bits)$/.exec(expected) ?? [];
      if (name === undefined || !source.has(name)) continue;
      if (form === 'f32') produce(expected, await source.read(name));
      // Those of float16 and bfloat16.
      else produce(expected, Int32Array.from(new Uint16Array((await source.readRaw(name)).buffer)));
    }
  } finally {
    await source.close();
  }
}
