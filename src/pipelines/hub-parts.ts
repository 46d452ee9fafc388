import type * as tf from '@tensorflow/tfjs-core';
import { CheckpointError } from '../errors';
import { canonicalJson } from '../io/canonical-json';
import { fileIn } from '../io/folder';
import { note } from '../io/notes';
import { parseConfig } from '../io/parse-config';
import type { Resize } from '../media/pixels';
import { autoencoderOf, decoderOnly, encoderOnly } from '../models/autoencoders';
import { boundaryOf, EXPERTS, lending } from '../models/experts';
import { familyOf } from '../models/families';
import { withKnownNames } from '../models/known-names';
import { knownTables } from '../models/known-tables';
import { denoiserBytes, loadDenoiser } from '../models/load-denoiser';
import { requireLoras } from '../models/loras';
import type { PipelineParts, Watch } from '../models/pipeline-parts';
import { pixelSpace } from '../models/pixel-space';
import { activationBytes, requireMemory } from '../models/room';
import { textMemory } from '../models/text/memory';
import type { Autoencoder, CodeOptions, Posterior } from '../models/vae/autoencoder';
import type { ComputeType } from '../nn/bfloat16';
import type { Embeddings } from '../sampling/embeddings';
import { hubScheduler } from '../sampling/schedule';
import type { Denoiser } from '../transformer/denoiser';
import { loadStore } from '../weights/load';
import type { LoraFile } from '../weights/lora/adapter';
import type { ModelComponent } from '../weights/model-folder';
import { componentOf, type OpenModel, readModelJson } from '../weights/open-model';
import { parameterCount, type WeightStore } from '../weights/parameters';
import { residentStore } from '../weights/store';
import { encodeTexts } from './encode-texts';
import { encoderIdentity, requireOwn } from './encoder-identity';
import { combinedHash } from './identity';
import { requireJoins } from './joins';
import { modelName } from './model-name';
import { sameSize } from './same-size';
import { textLosses } from './text-losses';
import { textTokenizers } from './text-tokenizer';

/** How a folder in the layout of the hub is loaded and run. */
export interface HubOptions {
  /** Takes the place of the folder's `scheduler_config.json`. */
  readonly scheduler?: unknown | undefined;
  /** Leaves the transformer's blocks on disk and brings in one at a time, for models larger than memory. */
  readonly offload?: boolean | undefined;
  /** What the products of the transformer's blocks are computed in; `bfloat16` needs the native backend. */
  readonly dtype?: ComputeType | undefined;
  /** LoRAs that are merged into a transformer's weights as they are read, one after the other. */
  readonly loras?: readonly LoraFile[] | undefined;
  /** Decodes pictures larger than a tile in tiles, as `enable_tiling` of diffusers does: less memory, faint seams. */
  readonly tiling?: boolean | undefined;
  /** What the text encoders made of the prompts, from a file: no text encoder is then loaded. */
  readonly embeddings?: Embeddings | undefined;
  /** Brings a picture to begin with to the size that is drawn; unless given, one of another size is refused. */
  readonly resize?: Resize | undefined;
  /** Sees what goes from part to part (`prompt_embeds`, `vae_input`, …), for comparison with a reference. */
  readonly watch?: Watch | undefined;
  /** Sees what goes on inside the decoder. */
  readonly watchDecoder?: CodeOptions['watch'] | undefined;
}

const SCHEDULER = 'scheduler/scheduler_config.json';
const MODEL_INDEX = 'model_index.json';

/** @param model an opened pipeline folder; it is opened again for every part, so the caller may close it */
export async function hubParts(model: OpenModel, options: HubOptions = {}): Promise<PipelineParts> {
  const id = modelName(model.path);
  const transformer = componentOf(model, 'transformer');
  const second = await secondOf(model, transformer);
  const configs = new Map([...model.components].map(([name, { config }]) => [name, config]));
  const scheduler = hubScheduler(
    options.scheduler ?? (await readModelJson(model, SCHEDULER)),
    fileIn(model.path, SCHEDULER),
  );
  const known = familyOf(transformer.className);
  const parsed = parseConfig(known.schema, transformer.config, transformer.where);
  const isPixels = Object.keys(known.autoencoders).length === 0;
  const geometry = isPixels ? pixelSpace : sizesOf(componentOf(model, 'vae'));
  requireJoins(known.joins(parsed), geometry.latentChannels, model.components, id);
  const table = known.parameters(parsed);
  const parameters = parameterCount(table) * (second ? 2 : 1);
  const own = denoiserBytes(transformer, options);
  const weights = own * (second && !options.offload ? 2 : 1);
  const stores: WeightStore[] = [];
  let isLoaded = false;
  const keep = (store: WeightStore): void => {
    stores.push(store);
  };
  const loras = await requireLoras(options.loras, known, table, second !== undefined);
  const load = (part: string): Promise<Denoiser> => loadTransformer(model, part, { ...options, loras: loras.files });
  const experts = second && lending(second.boundary, expert => load(EXPERTS[expert]), options.offload ?? false);
  if (second && options.loras?.length && new Set(options.loras.map(({ component }) => component)).size === 1) {
    const [own, option, other] = options.loras[0]?.component
      ? ['second, which draws at low noise', '--lora', 'first']
      : ['first, which draws at high noise', '--lora-2', 'second'];
    note(`${id} has two transformers: LoRAs are merged into the ${own}. By ${option} they are into the ${other}.`);
  }
  const { embeddings: given } = options;
  if (given) await requireOwn(given, id, name => model.components.get(name));
  const tokenizers = textTokenizers(work => opened(model, work));
  const memory = textMemory(
    (request, how) => opened(model, again => encodeTexts(again, request, tokenizers, how)),
    given,
  );
  return {
    info: {
      id,
      hash: await combinedHash(
        [transformer, ...(second ? [second.component] : [])],
        second ? { ...scheduler.config, boundary_ratio: second.boundary } : scheduler.config,
      ),
      ...loras.info,
      ...(options.dtype === 'bfloat16' && { dtype: options.dtype }),
      modelClass: transformer.className,
      schedulerClass: scheduler.className,
      parameters,
      prompts: [],
    },
    config: part => configs.get(part),
    scheduler,
    geometry,
    encode: memory.encode,
    textLoss: requests => textLosses(model.files, requests, tokenizers),
    embeddings: () =>
      opened(model, async again => {
        const entries = memory.entries();
        const encoders: Record<string, string> = {};
        for (const { request } of entries) {
          encoders[request.encoder] ??= await encoderIdentity(componentOf(again, request.encoder));
        }
        return { encoders, entries };
      }),
    requireMemory({ size, tokens, width, rows }) {
      const { height, width: columns, frames } = size;
      const what = `${id} at ${height}x${columns}${frames === 1 ? '' : `, ${frames} frames,`}`;
      const held = experts ? own * (Number(experts.isLoaded(0)) + Number(experts.isLoaded(1))) : isLoaded ? weights : 0;
      requireMemory({ bytes: weights + activationBytes(tokens, width, rows), held }, what);
    },
    transformer: once(async () => {
      const denoiser = await load('transformer');
      keep(denoiser.weights);
      isLoaded = true;
      return denoiser;
    }),
    ...(experts && { experts }),
    autoencoder: once(async () =>
      isPixels ? pixelSpace : opened(model, again => loadDecoder(componentOf(again, 'vae'), keep)),
    ),
    encodePixels: pixels => opened(model, again => encodeOnce(componentOf(again, 'vae'), pixels)),
    resize: options.resize ?? sameSize,
    ...(options.tiling && { tiling: true }),
    watch: options.watch ?? (() => {}),
    ...(options.watchDecoder && { watchDecoder: options.watchDecoder }),
    dispose() {
      for (const store of stores.splice(0)) store.dispose();
      experts?.dispose();
    },
  };
}

async function opened<T>(model: OpenModel, work: (again: OpenModel) => Promise<T>): Promise<T> {
  const again = await model.reopen();
  try {
    return await work(again);
  } finally {
    await again.close();
  }
}

/** What `load` gave the first time. A failure is not remembered. */
function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | undefined;
  return () => {
    loaded ??= load().catch(error => {
      loaded = undefined;
      throw error;
    });
    return loaded;
  };
}

/** The transformer that takes over from the first, and where. @throws CheckpointError for one of another kind */
async function secondOf(
  model: OpenModel,
  first: ModelComponent,
): Promise<{ boundary: number; component: ModelComponent } | undefined> {
  if (!familyOf(first.className).index.experts) return undefined;
  const component = model.components.get(EXPERTS[1]);
  const index = await readModelJson(model, MODEL_INDEX);
  const boundary = boundaryOf(index, component !== undefined, fileIn(model.path, MODEL_INDEX));
  if (boundary === undefined || !component) return undefined;
  if (component.className === first.className && sameShape(component.config, first.config)) {
    return { boundary, component };
  }
  throw new CheckpointError('shape_mismatch', `${component.where} is no transformer like the first one.`, {
    hint: 'Take both from the same repository.',
  });
}

/** Whether two configurations of one class say the same of all that is not a remark. */
function sameShape(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  const said = (config: object): string =>
    canonicalJson(Object.fromEntries(Object.entries(config).filter(([name]) => !name.startsWith('_'))));
  return said(a) === said(b);
}

/** One of the transformers; its store is the caller's. */
async function loadTransformer(
  closed: OpenModel,
  part: string,
  { offload = false, dtype, loras }: HubOptions,
): Promise<Denoiser> {
  const model = await closed.reopen();
  try {
    const own = loras?.filter(({ component = EXPERTS[0] }) => component === part);
    return (await loadDenoiser(componentOf(model, part), { offload, dtype, loras: own })).denoiser;
  } finally {
    // Blocks that are left on disk are read from the transformer's files, which the store closes.
    const done = [...model.components].filter(([name]) => !(offload && name === part));
    await Promise.all(done.map(([, { source }]) => source.close()));
  }
}

function sizesOf({ className, config, where }: ModelComponent): Autoencoder {
  const known = autoencoderOf(className);
  return known.create(parseConfig(known.schema, config, fileIn(where, 'config.json')), residentStore(new Map()));
}

async function loadDecoder(component: ModelComponent, keep: (s: WeightStore) => void): Promise<Autoencoder> {
  const { autoencoder, store } = await loadHalf(component, encoderOnly);
  keep(store);
  return autoencoder;
}

async function encodeOnce(component: ModelComponent, pixels: tf.Tensor): Promise<Posterior> {
  const { autoencoder, store } = await loadHalf(component, decoderOnly);
  return autoencoder.encode(pixels).finally(() => store.dispose());
}

/** An autoencoder without the parameters of one direction. */
async function loadHalf(
  component: ModelComponent,
  without: RegExp,
): Promise<{ autoencoder: Autoencoder; store: WeightStore }> {
  const { className, config, source, where } = withKnownNames(component, knownTables);
  const known = autoencoderOf(className);
  const parsed = parseConfig(known.schema, config, fileIn(where, 'config.json'));
  const table = known.parameters(parsed).filter(({ name }) => !without.test(name));
  const store = await loadStore(source, table, { where, ignore: [without] });
  return { autoencoder: known.create(parsed, store), store };
}
