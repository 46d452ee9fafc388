import type { Receipt } from '../draw/receipt';
import type { Media } from '../media/pixels';
import type { Fidelity } from '../policy/data';
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
  /** Threads of WebAssembly where the page is cross-origin isolated; as many as pay for the model unless given. */
  readonly threads?: number | undefined;
  /** The folder of the `.wasm` files, where it is not that of the worker's script. */
  readonly wasmPaths?: string | undefined;
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
   * to itself.
   */
  readonly policies?: string | readonly string[] | undefined;
  /** Whether the browser keeps the files for the next visit; `true` unless given. */
  readonly storage?: boolean | undefined;
  /** Reads the transformer's blocks by range requests when they are needed, in place of holding them. */
  readonly offload?: boolean | undefined;
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
  /** Name of a loaded model; the one that was loaded last unless given. */
  readonly model?: string | undefined;
  /**
   * `auto` for the loaded one that fits, `none`, name or hash of a loaded one, the files of one, or a schedule made by
   * hand; `auto` unless given.
   */
  readonly policy?: string | PolicyFiles | HandMade | undefined;
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

/** Kinds of files that are written here. All of them hold the receipt. */
export type FileFormat = 'png' | 'webp';

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

/** The forms of a result: float pixels, one bitmap a frame, or a file (PNG; animated WebP for clips). */
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
