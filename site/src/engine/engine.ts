/*
 * The library's client, as the page uses it: one worker draws what the screens show.
 */
import {
  type Client,
  createClient,
  detect,
  type EncodedFile,
  type FileFormat,
  type LoadedModel,
  type Media,
  type PolicyFiles,
  psnr,
  type Receipt,
  type Result,
  ssim,
} from 'ertacache/browser';
import type { Order, PolicyCard } from './types';

/** Names of the policies that lie beside the page; the build lists them. */
declare const __POLICIES__: readonly string[];

const at = (path: string): string => new URL(path, document.baseURI).href;

/** A client with a worker of its own. The worker's script lies beside the page, and its `.wasm` files beside it. */
export const newClient = (): Client =>
  createClient({ worker: () => new Worker(at('browser/worker.mjs'), { type: 'module' }) });

let shared: Client | undefined;
const client = (): Client => {
  shared ??= newClient();
  return shared;
};

/** Addresses of a model and of its policies. */
export const addressesOf = (name: string) => ({
  address: at(`models/${name}`),
  policies: __POLICIES__
    .filter(policy => policy.startsWith(`${name}-`) && /^\d+steps/.test(policy.slice(name.length + 1)))
    .map(policy => at(`calibration/${policy}.json`)),
});

/** A model that is loaded, and the policies that lie beside it. */
export interface Loaded {
  readonly card: LoadedModel;
  readonly policies: readonly PolicyCard[];
}

const loads = new Map<string, { readonly whole: Promise<Loaded>; onProgress: (done: number, total: number) => void }>();

/** Loads a model and its policies, once: the worker keeps it, and the policies that are added to it. */
export function loadModel(name: string, onProgress: (done: number, total: number) => void): Promise<Loaded> {
  const known = loads.get(name);
  if (known) {
    known.onProgress = onProgress;
    return known.whole;
  }
  const whole = loadOnce(name, (done, total) => loads.get(name)?.onProgress(done, total));
  loads.set(name, { whole, onProgress });
  // What failed can be tried again.
  whole.catch(() => loads.delete(name));
  return whole;
}

async function loadOnce(name: string, onProgress: (done: number, total: number) => void): Promise<Loaded> {
  const { address, policies } = addressesOf(name);
  const card = await client().load(address, { policies, onProgress });
  // A file of many budgets has some that have a file of their own too, which comes first.
  const isFirst = (policy: LoadedModel['policies'][number], i: number): boolean =>
    card.policies.findIndex(
      ({ guidance, steps, forwards }) =>
        guidance === policy.guidance && steps === policy.steps && forwards === policy.forwards,
    ) === i;
  return { card, policies: card.policies.filter(isFirst).map(policy => ({ ...policy, model: name, own: false })) };
}

/** Who is told of a drawing while it comes about, and how it is stopped. */
export interface Watch {
  readonly signal: AbortSignal;
  /** What was done at each step so far. */
  readonly onStep: (schedule: string) => void;
  readonly onPreview: (media: Media) => void;
}

/** The library's options for a watch. */
function watched({ signal, onStep, onPreview }: Watch) {
  let schedule = '';
  return {
    signal,
    onStep: ({ computed }: { readonly computed: boolean }) => {
      schedule += computed ? '#' : '.';
      onStep(schedule);
    },
    onPreview: ({ media }: { readonly media: Media }) => onPreview(media),
  };
}

/** Draws what is ordered. */
export function draw({ choice, ...request }: Order, watch: Watch): Promise<Result> {
  const policy = choice.by === 'none' ? 'none' : choice.by === 'policy' ? choice.hash : { schedule: choice.schedule };
  return client().draw({ ...request, policy }, watched(watch));
}

/** Draws the picture of a receipt again. */
export const repeat = (receipt: Receipt, watch: Watch): Promise<Result> => client().repeat(receipt, watched(watch));

/** How near two pictures or clips are: PSNR in dB and SSIM, of clips the means over their frames. */
export function likeness(a: Media, b: Media): { readonly psnr: number; readonly ssim: number } {
  const [left, right] = [framesOf(a), framesOf(b)];
  const over = (metric: typeof psnr): number =>
    left.reduce((sum, frame, i) => sum + metric(frame, right[i] ?? frame), 0) / left.length;
  return { psnr: over(psnr), ssim: over(ssim) };
}

/** The frames of a clip; a picture is its own only one. */
const framesOf = (media: Media): Media[] =>
  media.shape.length === 4
    ? Array.from({ length: media.shape[0] ?? 0 }, (_, i) => media.pick(i, null, null, null))
    : [media];

/** A result as a file that holds its receipt: without loss unless a format is given. */
export const encode = ({ media, receipt, fps }: Result, format?: FileFormat): Promise<EncodedFile> =>
  client().encode(media, { receipt, ...(format && { format }), ...(fps !== undefined && { fps }) });

let mp4: Promise<boolean> | undefined;
/** Whether clips can be saved as MP4 here. */
export const writesMp4 = (): Promise<boolean> => {
  mp4 ??= detect().then(found => found.mp4);
  return mp4;
};

/** Adds a policy to a loaded model. */
export const addPolicy = async (files: PolicyFiles, model: string): Promise<PolicyCard> => ({
  ...(await client().addPolicy(files, model)),
  model,
  own: true,
});

/** The files of a policy, for the command line. */
export const policyFiles = (hash: string, model: string): Promise<PolicyFiles> => client().policyFiles(hash, model);
