import { join } from 'node:path';
import { CheckpointError } from '../../errors';
import { isFile, isFolder } from '../../io/node-file';
import { loadDenoiser } from '../../models/load-denoiser';
import { openTensorsAt, readConfigAt } from '../../weights/disk';
import type { ModelConfig } from '../../weights/model-config';
import { unwrapped } from '../../weights/prefixes';
import type { TensorSource } from '../../weights/source';
import type { CaseRunner, GoldenCase, Produce } from './golden-case';
import { produceForward } from './transformers';

const WEIGHT = 'weight/';

/**
 * Runs a case of the group `quantized`: one file, GGUF or safetensors, whose tensors are widened and compared; where
 * there is a configuration, beside it or with the model that the file was made of, the transformer is run once.
 */
export const runQuantized: CaseRunner = async (golden, produce, dtype) => {
  const path = join(golden.folder, String(golden.call.file));
  const source = await openTensorsAt(path);
  try {
    await produceTensors(unwrapped(source), golden, produce);
    const described = await configOf(golden);
    if (!described) return;
    const { denoiser, className } = await loadDenoiser({ ...described, source, where: path }, { dtype });
    try {
      await produceForward({ ...golden, className }, denoiser, produce);
    } finally {
      denoiser.weights.dispose();
    }
  } finally {
    await source.close();
  }
};

/** The configuration beside the case, or that of the model that the file holds as well. */
async function configOf({ folder, call }: GoldenCase): Promise<ModelConfig | undefined> {
  const own = join(folder, 'config.json');
  if (await isFile(own)) return readConfigAt(own);
  if (typeof call.split_model !== 'string') return undefined;
  const split = join(folder, call.split_model);
  const transformer = join(split, 'transformer');
  if (!(await isFolder(split))) {
    throw new CheckpointError('missing_config', `The case ${folder} is made of ${split}, which is not there.`, {
      hint: 'Keep the group pipelines beside the group quantized.',
    });
  }
  return readConfigAt(join((await isFolder(transformer)) ? transformer : split, 'config.json'));
}

/** Tensors by the names that the file gives them: values, the codes of one byte, and whether they are numbers. */
async function produceTensors(source: TensorSource, { expected }: GoldenCase, produce: Produce): Promise<void> {
  for (const [output, { shape }] of expected) {
    const [, kind] = /\.(codes|kind)$/.exec(output) ?? [];
    const name = output.replace(WEIGHT, '').replace(/\.(codes|kind)$/, '');
    if (!source.has(name)) continue;
    const isAsExpected = source.entry(name).shape.join() === shape.join();
    if (!isAsExpected) produce(output, []);
    else if (kind === 'codes') produce(output, Int32Array.from(await source.readRaw(name)));
    else if (kind === 'kind') produce(output, Int32Array.from(await source.read(name), kindOf));
    else produce(output, await source.read(name));
  }
}

/** 0 for a number, 1 for an infinity, 2 for what is not a number. */
const kindOf = (value: number): number => (Number.isFinite(value) ? 0 : Number.isNaN(value) ? 2 : 1);
