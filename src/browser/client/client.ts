import type { Receipt } from '../../draw/receipt';
import { requireObject, requireText, requireWhole, wrongArgument } from '../../io/arguments';
import type { Media } from '../../media/pixels';
import type { KernelLevel } from '../../nn/wasm/module';
import { purge } from '../load/storage';
import { fromPlainMedia, toPlainMedia } from '../plain-media';
import type { Calls, PlainMedia, PlainRequest, PlainResult, Wanted } from '../protocol';
import type {
  BackendInfo,
  BackendRequest,
  Calibrated,
  CalibrateRequest,
  Compared,
  ComparedWhole,
  CompareRequest,
  ComputeOptions,
  DrawRequest,
  EncodedFile,
  FileFormat,
  Form,
  LoadedModel,
  LoadOptions,
  PolicyFiles,
  PolicyInfo,
  Preview,
  Progress,
  Result,
  StepReport,
} from '../types';
import { connect, type Told } from './connection';
import { type Busy, turns } from './turns';

/** How a client is made. */
export interface ClientOptions extends ComputeOptions {
  /**
   * Makes the worker, in a form that bundlers understand:
   * `() => new Worker(new URL('ertacache/browser-worker', import.meta.url), { type: 'module' })`.
   */
  readonly worker: () => Worker;
  /** Told what happens beside the calls, such as a backend that was given up, or a policy of another model. */
  readonly onNotice?: ((text: string) => void) | undefined;
}

/** How a call is stopped, and what becomes of it while another one is under way. */
export interface CallOptions {
  /** When aborted, the call ends with an InterruptedError, within one forward pass. */
  readonly signal?: AbortSignal | undefined;
  /** `queue` unless given. */
  readonly busy?: Busy | undefined;
}

/** How a model is loaded, and who is told of it. */
export interface LoadCall extends LoadOptions, CallOptions {
  /** Bytes that are here so far, and in all; 0 in all where that is not known. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** How something is drawn, and who is told of it. */
export interface DrawCall<F extends Form = Form> extends CallOptions {
  /** In what form the result is handed over; `pixels` unless given. */
  readonly as?: F | undefined;
  /** Which kind of file; PNG for pictures and WebP for clips unless given. */
  readonly format?: FileFormat | undefined;
  /** Called after every step. */
  readonly onStep?: ((step: StepReport) => void) | undefined;
  /** Called with pictures on the way. */
  readonly onPreview?: ((preview: Preview) => void) | undefined;
  /** After how many steps a preview comes, and again; 1 unless given. */
  readonly previews?: number | undefined;
}

/** How a policy is calibrated, and who is told of it. */
export interface CalibrateCall extends CallOptions {
  /** Told how far it has come. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** How methods are compared, and who is told of it. */
export interface CompareCall extends CalibrateCall {
  /** Told of the comparison so far, after every method and budget. */
  readonly onRow?: ((compared: Compared) => void) | undefined;
}

/** A model in a worker of its own. */
export interface Client {
  /** What it computes on, once a model is loaded. */
  readonly backend: BackendInfo | undefined;
  /**
   * Loads a model from a server: a folder that `ertacache convert` wrote, or one in the hub's layout.
   * @param address the folder's, relative to the page
   * @param options its policies, and who is told of the progress
   * @returns what it draws, and with what
   * @throws IoError, CheckpointError for what is not a whole and intact model
   */
  load(address: string, options?: LoadCall): Promise<LoadedModel>;
  /**
   * Draws a picture or a clip.
   * @param request the prompt, and what is not to be as usual
   * @param options the form of the result, and who is told of steps
   * @returns the picture and how it was made
   * @throws UsageError and PolicyError for what cannot be drawn, or not be handed over as is asked
   */
  draw<F extends Form = 'pixels'>(request: DrawRequest, options?: DrawCall<F>): Promise<Result<F>>;
  /**
   * Draws the picture of a receipt again, whoever drew it: bit for bit on the same backend.
   * @param receipt of a picture, see `readReceipt`
   * @param options as of `draw`
   */
  repeat<F extends Form = 'pixels'>(receipt: Receipt, options?: DrawCall<F>): Promise<Result<F>>;
  /**
   * Calibrates a policy for a loaded model.
   * @param request schedule, pairs, and how outputs are corrected
   * @param options who is told of the progress
   * @returns the policy, and its files for the command line
   */
  calibrate(request?: CalibrateRequest, options?: CalibrateCall): Promise<Calibrated>;
  /**
   * Compares caching methods on a loaded model.
   * @param request methods, numbers of computed steps, and pairs
   * @param options who is told of every row as it is done
   * @returns the comparison, and its file for the command line
   */
  compare(request?: CompareRequest, options?: CompareCall): Promise<ComparedWhole>;
  /**
   * Adds a policy to a loaded model, for example one from the command line.
   * @param files its JSON, and its coefficients where it has any
   * @throws PolicyError for files that are no policy, or another model's
   */
  addPolicy(files: PolicyFiles, model?: string): Promise<PolicyInfo>;
  /** The files of a policy, by its name or hash, for the command line. */
  policyFiles(policy: string, model?: string): Promise<PolicyFiles>;
  /**
   * A picture or a clip as a file that holds its receipt: PNG, or WebP for clips, unless given.
   * @throws UnsupportedError for MP4 where the browser encodes no H.264 video of that size; see `detect`
   */
  encode(
    media: Media,
    options?: { readonly format?: FileFormat; readonly receipt?: unknown; readonly fps?: number },
  ): Promise<EncodedFile>;
  /** Releases a model, or all of them. */
  unload(model?: string): Promise<void>;
  /** Removes what the browser keeps of models. */
  purge(): Promise<void>;
  /** Ends the worker and gives its memory back. What is under way ends with an InterruptedError. */
  terminate(): void;
}

/**
 * Makes a client: models are loaded and run in a worker, so that the page stays free.
 * @param options how the worker is made, and where its tensors run
 * @returns the client; terminate it when done
 * @throws UsageError for options that it does not know
 * @example
 * const client = createClient({
 *   worker: () => new Worker(new URL('ertacache/browser-worker', import.meta.url), { type: 'module' }),
 * });
 * await client.load('/models/fluent-emoji');
 * const { media } = await client.draw({ prompt: 'red heart', seed: 1 });
 */
export function createClient(options: ClientOptions): Client {
  requireObject('options', options, 'an object with a function that makes the worker');
  const { worker, onNotice = () => {}, backend, threads, kernels, wasmPaths } = options;
  requireCompute(options);
  const base = wasmPaths === undefined ? undefined : new URL(wasmPaths, document.baseURI).href;
  const connection = connect(worker(), { backend, threads, kernels, wasmPaths: base }, onNotice);
  const line = turns();
  let info: BackendInfo | undefined;

  /** Runs a call when it is its turn. */
  const call = <N extends keyof Calls>(
    name: N,
    asked: Calls[N]['asked'],
    { busy = 'queue', signal }: CallOptions = {},
    told?: Told<N>,
  ): Promise<Calls[N]['answer']> =>
    line.take(busy, signal, given => connection.ask(name, asked, { signal: given, ...(told && { told }) }));

  async function drawn<F extends Form>(
    name: 'draw' | 'repeat',
    asked: (wanted: Wanted) => Calls['draw']['asked'] | Calls['repeat']['asked'],
    { as = 'pixels' as F, format, previews = 1, onStep, onPreview, ...rest }: DrawCall<F>,
  ): Promise<Result<F>> {
    requireWhole('previews', previews, 1);
    const wanted = { as, format, previews: onPreview ? previews : 0 };
    const result = await call(name, asked(wanted) as never, rest, {
      step: onStep,
      preview: onPreview && (({ step, media }) => onPreview({ step, media: fromPlainMedia(media) })),
    });
    info = result.backend;
    return revived(result, as);
  }

  return {
    get backend() {
      return info;
    },
    async load(address, { onProgress, policies, storage, offload, loras, ...rest } = {}) {
      requireText('address', address, "the address of a model's folder");
      const whole = (path: string): string => new URL(path, document.baseURI).href;
      const listed = typeof policies === 'object' ? policies.map(whole) : policies && whole(policies);
      const merged = loras?.map(lora => ({ ...lora, address: whole(lora.address) }));
      const loading = { policies: listed, storage, offload, loras: merged };
      const model = await call('load', { address: whole(address), options: loading }, rest, {
        progress: onProgress && (({ done, total }) => onProgress(done, total)),
      });
      info = model.backend;
      return model;
    },
    draw: (request, given = {}) => drawn('draw', wanted => ({ request: plainRequest(request), wanted }), given),
    repeat: (receipt, given = {}) => drawn('repeat', wanted => ({ receipt, wanted }), given),
    calibrate: (request = {}, { onProgress, ...rest } = {}) =>
      call('calibrate', request, rest, { progress: onProgress }),
    compare: (request = {}, { onProgress, onRow, ...rest } = {}) =>
      call('compare', request, rest, { progress: onProgress, row: onRow }),
    addPolicy: (files, model) => call('addPolicy', { files, model }),
    policyFiles: (policy, model) => call('policyFiles', { policy, model }),
    encode: (media, { format = media.shape.length === 4 ? 'webp' : 'png', receipt, fps } = {}) =>
      call('encode', { media: toPlainMedia(media), format, receipt, fps }),
    unload: async model => void (await call('unload', { model })),
    purge,
    terminate() {
      line.stop('The client was terminated.');
      connection.close();
    },
  };
}

const BACKENDS: readonly BackendRequest[] = ['auto', 'wasm', 'webgpu', 'webgl'];
const LEVELS: readonly KernelLevel[] = ['fma', 'plain'];

/** @throws UsageError for what the worker would take for something else */
function requireCompute({ backend = 'auto', threads = 1, kernels = 'fma' }: ComputeOptions): void {
  if (!BACKENDS.includes(backend)) throw wrongArgument('backend', backend, 'auto, wasm, webgpu or webgl');
  if (!LEVELS.includes(kernels)) throw wrongArgument('kernels', kernels, 'fma or plain');
  requireWhole('threads', threads, 1);
}

/** Pixels have methods, which do not cross. */
function plainRequest({ init, ...request }: DrawRequest): PlainRequest {
  if (!init) return request;
  const { picture, strength } = init;
  return { ...request, init: { picture: picture instanceof Blob ? picture : toPlainMedia(picture), strength } };
}

function revived<F extends Form>(result: PlainResult, as: F): Result<F> {
  if (as !== 'pixels') return result as Result<F>;
  return { ...result, media: fromPlainMedia(result.media as PlainMedia) } as Result<F>;
}
