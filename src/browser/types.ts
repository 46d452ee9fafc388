import type { RectifyForm } from '../cache/rectify';
import type { SiteName } from '../cache/sites';
import type { TimestepForm } from '../cache/time-grid';
import type { SearchMethod } from '../calibration/search/search';
import type { Receipt } from '../draw/receipt';
import type { Summary } from '../lab/compare/aggregate';
import type { Comparison } from '../lab/compare/comparison';
import type { Media } from '../media/pixels';
import type { KernelLevel } from '../nn/wasm/module';
import type { Fidelity } from '../policy/data';
import type { Pair } from '../policy/pair';
import type { TextLoss } from '../sampling/pipeline';

/** Where tensors are to run. `auto` takes what draws the model fastest, and never what draws it wrong. */
export type BackendRequest = 'auto' | 'wasm' | 'webgpu' | 'webgl';

/** What tensors run on. */
export interface BackendInfo {
  /** Which one. */
  readonly kind: Exclude<BackendRequest, 'auto'>;
  /** For people, such as `wasm (SIMD, 4 threads)`. */
  readonly label: string;
  /** Threads that compute; 1 unless the page is cross-origin isolated. */
  readonly threads: number;
}

/** How the worker computes. */
export interface ComputeOptions {
  /** Where tensors run; `auto` unless given. */
  readonly backend?: BackendRequest | undefined;
  /**
   * Threads of WebAssembly where the page is cross-origin isolated, 8 at most. Unless given, as many as pay for the model that
   * is loaded first; later ones run on as many.
   */
  readonly threads?: number | undefined;
  /** The folder of the `.wasm` files, where it is not that of the worker's script. */
  readonly wasmPaths?: string | undefined;
  /**
   * How ertacache's own kernels of WebAssembly compute: `fma` where the browser can, the fastest, unless given; `plain` gives
   * the same digits in every browser and in Node.
   */
  readonly kernels?: KernelLevel | undefined;
}

/** The files of a policy, as `ertacache calibrate` writes them. */
export interface PolicyFiles {
  /** `NAME.json`. */
  readonly json: string;
  /** `NAME.safetensors`, where the policy corrects. */
  readonly coefficients?: Uint8Array | undefined;
  /** NAME; that of the method unless given. */
  readonly name?: string | undefined;
}

/** A schedule made by hand: nothing of it is calibrated, and nothing is corrected. */
export interface HandMade {
  /** `#` computed, `.` reused, one character a step; the first step is computed. */
  readonly schedule: string;
}

/** A policy that a loaded model can be drawn with. */
export interface PolicyInfo {
  /** The name of its file, without `.json`. */
  readonly name: string;
  /** By which receipts know it. */
  readonly hash: string;
  /** Denoising steps of the runs that it is for. */
  readonly steps: number;
  /** Strength of guidance of those runs. */
  readonly guidance: number;
  /** Steps that are computed. */
  readonly forwards: number;
  /** `#` computed, `.` reused. */
  readonly schedule: string;
  /** Likeness to uncached pictures, where it was measured. */
  readonly measured: { readonly calibration?: Fidelity | undefined; readonly heldOut?: Fidelity | undefined };
}

/** How a model is loaded from a server. */
export interface LoadOptions {
  /**
   * Its policies: addresses of their `.json` files, or the address of a JSON file that lists such addresses, relative
   * to itself. Those of other models are left out, and `onNotice` is told.
   */
  readonly policies?: string | readonly string[] | undefined;
  /** Whether the browser keeps the files for the next visit; `true` unless given. */
  readonly storage?: boolean | undefined;
  /** LoRAs that are merged into its weights. */
  readonly loras?: readonly LoraAddress[] | undefined;
  /** Reads the transformer's blocks by range requests when they are needed, in place of holding them. */
  readonly offload?: boolean | undefined;
}

/** A LoRA on a server. */
export interface LoraAddress {
  /** Of its safetensors file, relative to the page. */
  readonly address: string;
  /** By how much its change of the weights is multiplied; 1 unless given. */
  readonly scale?: number | undefined;
}

/** A picture to begin with. */
export interface BeginWith {
  /** A picture's file, such as one that was dropped on the page, or its pixels. It is brought to the size that is drawn. */
  readonly picture: Blob | Media;
  /** How much of it is drawn anew, 0 to 1; 0.6 unless given. */
  readonly strength?: number | undefined;
}

/** A model that is ready to draw. */
export interface LoadedModel {
  /** The last part of its address. */
  readonly name: string;
  /** Content hash of weights and configuration. */
  readonly hash: string;
  /** Class of its transformer, as diffusers names it. */
  readonly family: string;
  /** What it draws. */
  readonly kind: 'picture' | 'clip';
  /** In pixels, where it draws one size. */
  readonly width?: number | undefined;
  /** In pixels, where it draws one size. */
  readonly height?: number | undefined;
  /** Frames of a clip. */
  readonly frames?: number | undefined;
  /** Frames a second of a clip. */
  readonly fps?: number | undefined;
  /** The model's usual number of steps. */
  readonly steps: number;
  /** The model's usual strength of guidance. */
  readonly guidance: number;
  /** Number of the transformer's parameters. */
  readonly parameters: number;
  /** Words that it knows, where its words are a table. */
  readonly vocabulary: readonly string[];
  /** Prompts that it is known to draw well, where its folder lists them. */
  readonly prompts: readonly string[];
  /** Those that were loaded with it. */
  readonly policies: readonly PolicyInfo[];
  /** Methods that `compare` knows. */
  readonly methods: readonly MethodInfo[];
  /** What it runs on. */
  readonly backend: BackendInfo;
}

/** What is to be drawn. Everything but the prompt may be left out. */
export interface DrawRequest {
  /** What to draw. */
  readonly prompt: string;
  /** What to steer away from. */
  readonly negativePrompt?: string | undefined;
  /** PyTorch draws the same noise from it; 0 unless given. */
  readonly seed?: number | bigint | string | undefined;
  /** Denoising steps; those of the policy that is named, else the model's usual number. */
  readonly steps?: number | undefined;
  /** Strength of guidance; that of the policy that is named, else the model's usual one. */
  readonly guidance?: number | undefined;
  /** FLUX: strength of true guidance from a second call a step; acts above 1, with a negative prompt. */
  readonly trueCfgScale?: number | undefined;
  /** Wan2.2: strength of guidance of the second expert; that of the first unless given. */
  readonly guidance2?: number | undefined;
  /** From and to which share of the way from noise, 0, to picture, 1, guidance acts. */
  readonly guidanceInterval?: readonly [number, number] | undefined;
  /** Spends more steps at high noise, above 1, or fewer, in place of the model's own shift. */
  readonly shift?: number | undefined;
  /** Enlarges the picture this many times, pixel by pixel. */
  readonly scale?: number | undefined;
  /** Pixels, and frames of a clip, for models that draw several sizes. */
  readonly size?:
    | {
        readonly width?: number | undefined;
        readonly height?: number | undefined;
        readonly frames?: number | undefined;
      }
    | undefined;
  /** A picture to begin with, for models that can. */
  readonly init?: BeginWith | undefined;
  /** Name of a loaded model; the one that was loaded last unless given. */
  readonly model?: string | undefined;
  /**
   * `auto` for the loaded one that fits, `none`, name or hash of a loaded one, the files of one, or a schedule made by
   * hand; `auto` unless given.
   */
  readonly policy?: string | PolicyFiles | HandMade | undefined;
  /** At most so many forward passes, by the policy of that budget. */
  readonly forwards?: number | undefined;
  /** At most one step in so many, in the same way. */
  readonly speedup?: number | undefined;
  /** The fewest forward passes whose mean PSNR, in dB, was measured to reach this. */
  readonly psnr?: number | undefined;
}

/** One step of a run that is under way. */
export interface StepReport {
  /** How many steps are done. */
  readonly step: number;
  /** Of how many. */
  readonly steps: number;
  /** Whether this one was computed rather than reused. */
  readonly computed: boolean;
  /** Forward passes so far. */
  readonly forwards: number;
  /** Time so far. */
  readonly seconds: number;
}

/** What a picture looks like on the way. */
export interface Preview {
  /** How many steps lie behind it. */
  readonly step: number;
  /** The finished picture or clip as this step predicts it. */
  readonly media: Media;
}

/** Kinds of files that are written here. All of them hold the receipt; `mp4` is of clips, where the browser encodes H.264. */
export type FileFormat = 'png' | 'webp' | 'mp4';

/** In what form a result is handed over. */
export type Form = 'pixels' | 'bitmap' | 'file';

/** An encoded picture or clip. */
export interface EncodedFile {
  /** Its content. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its media type. */
  readonly type: string;
  /** Its usual ending, with a dot. */
  readonly extension: string;
}

/** The forms of a result: float pixels, one bitmap a frame, or a file (PNG; animated WebP or MP4 for clips). */
export interface Forms {
  readonly pixels: Media;
  readonly bitmap: readonly ImageBitmap[];
  readonly file: EncodedFile;
}

/** A picture or a clip, and how it was made. */
export interface Result<F extends Form = 'pixels'> {
  /** The picture or the clip. */
  readonly media: Forms[F];
  /** How it was made, for files and for `repeat`. */
  readonly receipt: Receipt;
  /** The policy that was used, where one was. */
  readonly policy?: PolicyInfo | undefined;
  /** Time of the sampling loop. */
  readonly seconds: number;
  /** Full forward passes that were computed. */
  readonly forwards: number;
  /** `#` computed, `.` reused. */
  readonly schedule: string;
  /** What it ran on. */
  readonly backend: BackendInfo;
  /** What of the prompt was not read. */
  readonly textLoss: readonly TextLoss[];
  /** Frames a second of a clip. */
  readonly fps?: number | undefined;
}

/** A caching method, or a baseline. */
export interface MethodInfo {
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** One sentence: what it decides on, and what it reuses. */
  readonly summary: string;
  /** Where it was published. */
  readonly source?: string | undefined;
}

/** How a policy is calibrated. What is left out is as `ertacache calibrate` has it. */
export interface CalibrateRequest {
  /** Name of a loaded model; the one that was loaded last unless given. */
  readonly model?: string | undefined;
  /** The schedule: a number of computed steps, the paper's threshold, or made by hand; half of the steps unless given. */
  readonly schedule?: { readonly computed: number } | { readonly lambda: number } | HandMade | undefined;
  /** Denoising steps; the model's usual number unless given. */
  readonly steps?: number | undefined;
  /** Strength of guidance; the model's usual one unless given. */
  readonly guidance?: number | undefined;
  /** At least two prompts, to calibrate and to measure on; those that the model lists unless given. */
  readonly prompts?: readonly string[] | undefined;
  /** Pairs of prompt and seed to calibrate on; 16 unless given. */
  readonly pairs?: number | undefined;
  /** Other pairs, to measure on; 8 unless given. */
  readonly heldOut?: number | undefined;
  /** Pairs that run at a time; 8 unless given. */
  readonly batch?: number | undefined;
  /** How the schedule is searched; `dp` unless given. */
  readonly search?: SearchMethod | undefined;
  /** Schedules that `anneal` may try. */
  readonly trials?: number | undefined;
  /** Where the residual is taken; `velocity` unless given. */
  readonly site?: SiteName | undefined;
  /** Strength of extrapolation, 0 to 1; 0 unless given. */
  readonly taylor?: number | undefined;
  /** How step lengths answer to reuse; `off` unless given. */
  readonly timestep?: TimestepForm | undefined;
  /** How rebuilt outputs are corrected; `lsq` unless given. */
  readonly rectify?: RectifyForm | undefined;
  /** Name of the method in reports; `ertacache` unless given. */
  readonly name?: string | undefined;
}

/** How far some work has come. */
export interface Progress {
  /** Forward passes of one picture that are done, and at most in all. */
  readonly done: number;
  readonly total: number;
  /** Time so far, and at most from here on; absent where that cannot be told yet. */
  readonly seconds: number;
  readonly secondsLeft?: number | undefined;
  /** What is being done. */
  readonly note: string;
}

/** A policy that was calibrated. It is added to those of the model. */
export interface Calibrated {
  readonly policy: PolicyInfo;
  /** For the command line. */
  readonly files: PolicyFiles;
  readonly seconds: number;
}

/** What is compared. What is left out is as `ertacache compare` has it, with fewer pairs. */
export interface CompareRequest {
  /** Name of a loaded model; the one that was loaded last unless given. */
  readonly model?: string | undefined;
  /** Names of methods; all unless given. */
  readonly methods?: readonly string[] | undefined;
  /** Numbers of computed steps; a half, a third and a fifth of the steps unless given. */
  readonly budgets?: readonly number[] | undefined;
  /** Pairs to compare on: those given, or so many that are taken from the prompts; 8 unless given. */
  readonly pairs?: number | readonly Pair[] | undefined;
  /** Other pairs, to calibrate on; 8 unless given. */
  readonly calibrationPairs?: number | undefined;
  /** Prompts that pairs are taken from; those that the model lists unless given. */
  readonly prompts?: readonly string[] | undefined;
  /** Denoising steps; the model's usual number unless given. */
  readonly steps?: number | undefined;
  /** Strength of guidance; the model's usual one unless given. */
  readonly guidance?: number | undefined;
  /** What the others are compared with, pair by pair; `ertacache` where it takes part, else the last. */
  readonly against?: string | undefined;
  /** Names or hashes of loaded policies that are compared as they are, in place of being calibrated. */
  readonly policies?: readonly string[] | undefined;
  /** Pairs that run at a time; 8 unless given. */
  readonly batch?: number | undefined;
  /** Schedules that a search may try. */
  readonly trials?: number | undefined;
  /** Pairs on which time is measured, one by one; 1 unless given. */
  readonly timedPairs?: number | undefined;
}

/** A comparison, as far as it is done. */
export interface Compared {
  /** Everything that was measured. */
  readonly comparison: Comparison;
  /** The same in numbers, a row for each method and budget that is done. */
  readonly rows: readonly Summary[];
}

/** A whole comparison. */
export interface ComparedWhole extends Compared {
  /** The `comparison.json` that `ertacache compare` writes. */
  readonly json: string;
}
