import type { Receipt } from '../draw/receipt';
import type {
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
  Progress,
  Result,
  StepReport,
} from './types';

/** Pixels as they cross between page and worker: `Media` without its methods. */
export interface PlainMedia {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** A result as it crosses. */
export type PlainResult = Omit<Result<Form>, 'media'> & {
  readonly media: PlainMedia | readonly ImageBitmap[] | EncodedFile;
};

/** A request as it crosses. */
export type PlainRequest = Omit<DrawRequest, 'init'> & {
  readonly init?: { readonly picture: Blob | PlainMedia; readonly strength?: number | undefined } | undefined;
};

/** How a result is wanted, and what is told on the way. */
export interface Wanted {
  readonly as: Form;
  readonly format?: FileFormat | undefined;
  /** A preview after every so many steps; 0 for none. */
  readonly previews: number;
}

/**
 * What a page asks its worker for. `asked` crosses to the worker, `told` comes back while it works, `answer` at the end.
 */
export interface Calls {
  load: {
    asked: { readonly address: string; readonly options: LoadOptions };
    told: { readonly progress: { readonly done: number; readonly total: number } };
    answer: LoadedModel;
  };
  draw: {
    asked: { readonly request: PlainRequest; readonly wanted: Wanted };
    told: Drawing;
    answer: PlainResult;
  };
  repeat: {
    asked: { readonly receipt: Receipt; readonly model?: string | undefined; readonly wanted: Wanted };
    told: Drawing;
    answer: PlainResult;
  };
  calibrate: {
    asked: CalibrateRequest;
    told: { readonly progress: Progress };
    answer: Calibrated;
  };
  compare: {
    asked: CompareRequest;
    told: { readonly progress: Progress; readonly row: Compared };
    answer: ComparedWhole;
  };
  addPolicy: {
    asked: { readonly files: PolicyFiles; readonly model?: string | undefined };
    told: Nothing;
    answer: PolicyInfo;
  };
  policyFiles: {
    asked: { readonly policy: string; readonly model?: string | undefined };
    told: Nothing;
    answer: Required<Pick<PolicyFiles, 'json' | 'name'>> & Pick<PolicyFiles, 'coefficients'>;
  };
  encode: {
    asked: {
      readonly media: PlainMedia;
      readonly format: FileFormat;
      readonly receipt?: unknown;
      readonly fps?: number | undefined;
    };
    told: Nothing;
    answer: EncodedFile;
  };
  unload: { asked: { readonly model?: string | undefined }; told: Nothing; answer: undefined };
}

/** What is told of a run that is under way. */
export interface Drawing {
  readonly step: StepReport;
  readonly preview: { readonly step: number; readonly media: PlainMedia };
}

type Nothing = Readonly<Record<never, never>>;

/** A name of a call. */
export type CallName = keyof Calls;

/** An error as it crosses: structured clones of errors lose their class and their own fields. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  /** Of an `ErtaError`. */
  readonly code?: string | undefined;
  readonly hint?: string | undefined;
  readonly fault?: string | undefined;
}

/** From page to worker. The first message says how to compute. */
export type ToWorker =
  | { readonly start: ComputeOptions }
  | { readonly id: number; readonly call: CallName; readonly asked: Calls[CallName]['asked'] }
  | { readonly id: number; readonly abort: true };

/** From worker to page. `notice` is of the worker as a whole, such as a backend that was given up. */
export type ToPage =
  | { readonly id: number; readonly told: string; readonly value: unknown }
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly error: PlainError }
  | { readonly notice: string };
