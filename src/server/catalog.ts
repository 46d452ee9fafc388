import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { UsageError } from '../errors';
import { parseConfig } from '../io/parse-config';
import { familyOf } from '../models/families';
import { DEFAULT_MODEL } from '../pipelines/default-model';
import { isHubPipeline } from '../pipelines/hub';
import { locateModel, publicModelName, shippedModelNames } from '../pipelines/load';
import { modelName } from '../pipelines/model-name';
import { pixelFormat } from '../pipelines/pixel-formats';
import type { PictureSize } from '../sampling/pipeline';
import { openModelAt } from '../weights/disk';
import { componentOf, type OpenModel, readModelJson } from '../weights/open-model';
import { Refusal } from './jobs/faults';

/** A model that requests may name. */
export interface ServedModel {
  /** What requests call it. */
  readonly id: string;
  /** Its folder. */
  readonly path: string;
  /** What receipts call it, so that the command line finds it: no path of this machine. */
  readonly publicName: string;
  readonly kind: 'image' | 'clip';
  /** What it draws where nothing else is asked for. */
  readonly size: PictureSize;
  /** Whether it draws nothing of another size or length. */
  readonly isOneSize: boolean;
  /** Frames a second of its clips, where that is known before it is loaded. */
  readonly fps?: number | undefined;
  /** Seconds since 1970. */
  readonly created: number;
}

/** The models of a server. */
export interface Catalog {
  readonly models: readonly ServedModel[];
  /** The model that is drawn with where none is named, of each kind. */
  first(kind: ServedModel['kind']): ServedModel | undefined;
  /** @throws Refusal for a model that is not served */
  model(id: string): ServedModel;
}

/** What models may be called: it stands in addresses. */
const ID = /^[\w.-]{1,128}$/;

/**
 * Looks at the models that are served: those given, and those that ship with ertacache. No weights are read.
 * @param given folders, or NAME=FOLDER
 * @throws ErtaError for one that is not there or is no pipeline, UsageError for two of one name
 */
export async function readCatalog(given: readonly string[]): Promise<Catalog> {
  const named = new Map<string, Pick<ServedModel, 'path' | 'publicName'>>();
  for (const each of given) {
    const [, name, folder] = /^([\w.-]+)=(.+)$/s.exec(each) ?? [];
    const path = locateModel(folder ?? each);
    const id = name ?? modelName(resolve(path));
    if (!ID.test(id)) {
      throw new UsageError(`The model ${each} cannot be called "${id}" in a request.`, {
        hint: 'Give it a name of letters, digits, dots and dashes: --model NAME=FOLDER.',
      });
    }
    if (named.has(id)) {
      throw new UsageError(`Two models are called "${id}".`, { hint: 'Name them apart: --model NAME=FOLDER.' });
    }
    named.set(id, { path, publicName: publicModelName(folder ?? each) });
  }
  for (const id of shippedModelNames()) if (!named.has(id)) named.set(id, { path: locateModel(id), publicName: id });
  const models = await Promise.all([...named].map(([id, where]) => describe(id, where)));
  return {
    models,
    first: kind => models.find(model => model.kind === kind),
    model(id) {
      const found = models.find(model => model.id === id);
      if (found) return found;
      const names = models.map(model => model.id).join(', ');
      throw new Refusal(404, 'model_not_found', `There is no model "${id.slice(0, 100)}". Models: ${names}.`, {
        param: 'model',
      });
    },
  };
}

async function describe(id: string, where: Pick<ServedModel, 'path' | 'publicName'>): Promise<ServedModel> {
  const { path } = where;
  const opened = await openModelAt(path);
  try {
    const facts = isHubPipeline(opened) ? hubFacts(opened) : await pixelFacts(opened, path);
    return { id, ...where, created: Math.floor((await stat(path)).mtimeMs / 1000), ...facts };
  } finally {
    await opened.close();
  }
}

type Facts = Pick<ServedModel, 'kind' | 'size' | 'isOneSize' | 'fps'>;

function hubFacts(opened: OpenModel): Facts {
  const { className, config } = componentOf(opened, 'transformer');
  const known = familyOf(className);
  const size = known.usualSize(parseConfig(known.schema, config, 'transformer/config.json'));
  return { kind: size.frames > 1 ? 'clip' : 'image', size, isOneSize: false };
}

async function pixelFacts(opened: OpenModel, path: string): Promise<Facts> {
  if (!opened.files.includes('pipeline.json')) {
    throw new UsageError(`${path} is not a whole pipeline that pictures can be drawn with.`, {
      hint: `Look at it with \`ertacache info\`; ${DEFAULT_MODEL} ships with ertacache.`,
    });
  }
  const { className } = componentOf(opened, 'transformer');
  const { kind, size, fps } = pixelFormat(className, await readModelJson(opened, 'pipeline.json'));
  return { kind, size, isOneSize: true, fps };
}
