import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { UnsupportedError } from '../errors';
import { requireObject } from '../io/arguments';
import { count, MOST } from '../io/counts';
import { lastPart } from '../io/folder';
import { parseConfig } from '../io/parse-config';
import { familyOf } from '../models/families';
import type { Family } from '../models/family';
import { loadDenoiser } from '../models/load-denoiser';
import { requireLoras } from '../models/loras';
import { requireComputeType } from '../nn/bfloat16';
import { withLifetime } from '../sampling/lifetime';
import type { Pipeline } from '../sampling/pipeline';
import { flowMatchEulerConfig } from '../schedulers/flow-match-euler';
import { createWordTable, wordTableConfig } from '../text/word-table';
import { velocityOfSample } from '../transformer/sample-prediction';
import type { ModelComponent } from '../weights/model-folder';
import { componentOf, type OpenModel, readModelJson } from '../weights/open-model';
import type { ParameterTable } from '../weights/parameters';
import { isHubPipeline, loadHubPipeline } from './hub';
import type { HubOptions } from './hub-parts';
import { combinedHash } from './identity';
import { modelName } from './model-name';
import { createPixelPipeline } from './pixel';
import { pixelFormat } from './pixel-formats';
import { sameSize } from './same-size';

/**
 * Makes a pipeline of an opened model (converted, or as on the hub) in the active backend, wherever the model lies.
 * @param model it stays the caller's, who may close it when this is done
 * @param options `dtype` and `resize` for every model, the others for models in the hub's layout
 * @returns the pipeline; dispose it when done
 * @throws CheckpointError for a broken model, UnsupportedError for one that is not a whole pipeline
 * @example
 * const model = await openModel(httpFolder('https://example.org/models/fluent-emoji'));
 * const pipeline = await loadPipeline(model);
 */
export async function loadPipeline(model: OpenModel, options: HubOptions = {}): Promise<Pipeline> {
  requireObject('model', model, 'an opened model', 'Open one first: `const model = await openModel(folder)`.');
  requireComputeType(options.dtype);
  if (isHubPipeline(model)) return withLifetime(await loadHubPipeline(model, options));
  if (!model.files.includes('pipeline.json')) {
    throw new UnsupportedError(`${model.path} is not a whole pipeline that ertacache can sample from.`, {
      hint:
        model.kind === 'file'
          ? 'Name the folder of its pipeline as --model (option model) and the file as --transformer (option transformer).'
          : 'Look at it with `ertacache info`; the embedded model is called fluent-emoji.',
    });
  }
  if (options.embeddings) {
    throw new UnsupportedError(`${lastPart(model.path)} has no text encoder: its words are a table.`, {
      hint: 'Omit the embeddings.',
    });
  }
  return loadPixelPipeline(model, options);
}

const pixelPipeline = z.object({
  default_steps: count(MOST.steps),
  default_guidance: z.number(),
  prediction: z.enum(['velocity', 'sample']).default('velocity'),
});

async function loadPixelPipeline(files: OpenModel, { dtype, loras, resize = sameSize }: HubOptions): Promise<Pipeline> {
  const transformer = componentOf(files, 'transformer');
  const json = await readModelJson(files, 'pipeline.json');
  const defaults = parseConfig(pixelPipeline, json, 'pipeline.json');
  const format = pixelFormat(transformer.className, json);
  const scheduler = parseConfig(
    flowMatchEulerConfig,
    await readModelJson(files, 'scheduler/scheduler_config.json'),
    'scheduler_config.json',
  );
  const tokenizer = parseConfig(
    wordTableConfig,
    await readModelJson(files, 'text/tokenizer_config.json'),
    'tokenizer_config.json',
  );
  const vocabulary = parseConfig(
    z.record(z.string(), z.int().nonnegative()),
    await readModelJson(files, 'text/vocab.json'),
    'vocab.json',
  );
  const text = componentOf(files, 'text');
  const hash = await combinedHash([transformer, text], scheduler);
  const prompts = await listedPrompts(files);
  const merged = await requireLoras(loras, ...tableOf(transformer));
  // Weights last: whatever else is wrong with the folder is told before any tensor is made.
  const embeddings = await loadTable(text);
  const { denoiser, parameters } = await loadDenoiser(transformer, { dtype, loras: merged.files }).catch(error => {
    embeddings.dispose();
    throw error;
  });
  return createPixelPipeline({
    format,
    scheduler,
    resize,
    model:
      defaults.prediction === 'sample'
        ? velocityOfSample(denoiser, { trainTimesteps: scheduler.num_train_timesteps })
        : denoiser,
    embeddings,
    padId: tokenizer.pad_id,
    words: createWordTable(tokenizer, vocabulary),
    info: {
      id: modelName(files.path),
      hash,
      ...merged.info,
      ...(dtype === 'bfloat16' && { dtype }),
      modelClass: transformer.className,
      schedulerClass: scheduler._class_name,
      parameters,
      kind: format.kind,
      ...(format.fps !== undefined && { fps: format.fps }),
      size: format.size,
      defaults: { steps: defaults.default_steps, guidance: defaults.default_guidance },
      prompts,
    },
  });
}

function tableOf({ className, config, where }: ModelComponent): [Family, ParameterTable] {
  const known = familyOf(className);
  return [known, known.parameters(parseConfig(known.schema, config, where))];
}

async function loadTable({ source }: ModelComponent): Promise<tf.Tensor2D> {
  const name = 'embeddings.weight';
  return tf.tensor2d(await source.read(name), source.entry(name).shape as [number, number]);
}

async function listedPrompts(files: OpenModel): Promise<string[]> {
  if (!files.files.includes('prompts.json')) return [];
  const schema = z.array(z.object({ prompt: z.string() }));
  return parseConfig(schema, await readModelJson(files, 'prompts.json'), 'prompts.json').map(p => p.prompt);
}
