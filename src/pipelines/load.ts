import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { IoError, UnsupportedError } from '../errors';
import { packageRoot } from '../io/package-root';
import { parseConfig } from '../io/parse-config';
import { resized } from '../media/resize';
import { loadDenoiser } from '../models/load-denoiser';
import { type ComputeType, requireComputeType } from '../nn/bfloat16';
import type { Pipeline } from '../sampling/pipeline';
import { flowMatchEulerConfig } from '../schedulers/flow-match-euler';
import { createWordTable, wordTableConfig } from '../text/word-table';
import type { ModelComponent } from '../weights/model-folder';
import { componentOf, type OpenModel, openModel, readModelJson } from '../weights/open-model';
import { DEFAULT_MODEL } from './default-model';
import { isHubPipeline, loadHubPipeline } from './hub';
import type { HubOptions } from './hub-parts';
import { combinedHash } from './identity';
import { createPixelPipeline } from './pixel';
import { pixelFormat } from './pixel-formats';

/** The folder of a model that ships with the package, by its name. */
export function shippedModel(name: string): string | undefined {
  const folder = join(packageRoot(), 'converted-models', name);
  return /^[\w.-]+$/.test(name) && existsSync(folder) ? folder : undefined;
}

/** The folder of a model given by path or, for models that ship with the package, by name. */
export function locateModel(nameOrPath: string): string {
  if (existsSync(nameOrPath)) return resolve(nameOrPath);
  const shipped = shippedModel(nameOrPath);
  if (shipped) return shipped;
  throw new IoError(`There is no model "${nameOrPath}".`, {
    hint: `Give the folder of a model, or ${DEFAULT_MODEL}, which ships with ertacache.`,
  });
}

/**
 * Loads a model folder (converted, or as on the hub) into the active backend.
 * @param nameOrPath a folder, or the name of a model that ships with the package
 * @param options `dtype` for every model, the others for folders in the hub's layout
 * @returns the pipeline; dispose it when done
 */
export async function loadModel(nameOrPath: string = DEFAULT_MODEL, options: HubOptions = {}): Promise<Pipeline> {
  requireComputeType(options.dtype);
  const folder = locateModel(nameOrPath);
  const files = await openModel(folder);
  try {
    if (isHubPipeline(files)) return await loadHubPipeline(files, options);
    if (!files.files.includes('pipeline.json')) {
      throw new UnsupportedError(`${folder} is not a whole pipeline that ertacache can sample from.`, {
        hint: 'Look at it with `ertacache info`; the embedded model is called fluent-emoji.',
      });
    }
    if (options.embeddings) {
      throw new UnsupportedError(`${basename(folder)} has no text encoder: its words are a table.`, {
        hint: 'Leave the embeddings out.',
      });
    }
    return await loadPixelPipeline(files, basename(folder), options.dtype);
  } finally {
    await files.close();
  }
}

const pixelPipeline = z.object({ default_steps: z.int().positive(), default_guidance: z.number() });

async function loadPixelPipeline(files: OpenModel, id: string, dtype?: ComputeType): Promise<Pipeline> {
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
  // Weights last: whatever else is wrong with the folder is told before any tensor is made.
  const embeddings = await loadTable(text);
  const { denoiser, parameters } = await loadDenoiser(transformer, { dtype }).catch(error => {
    embeddings.dispose();
    throw error;
  });
  return createPixelPipeline({
    format,
    scheduler,
    resize: resized,
    model: denoiser,
    embeddings,
    padId: tokenizer.pad_id,
    words: createWordTable(tokenizer, vocabulary),
    info: {
      id,
      hash,
      modelClass: transformer.className,
      schedulerClass: scheduler._class_name,
      parameters,
      kind: format.kind,
      ...(format.fps !== undefined && { fps: format.fps }),
      defaults: { steps: defaults.default_steps, guidance: defaults.default_guidance },
      prompts,
    },
  });
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
