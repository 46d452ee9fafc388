import { printable } from './printable';

/** What went wrong, in a form a program can switch on. */
export type ErrorCode =
  | 'usage'
  | 'checkpoint'
  | 'config'
  | 'shape'
  | 'engine'
  | 'memory'
  | 'policy'
  | 'numeric'
  | 'unsupported'
  | 'io'
  | 'interrupted';

/**
 * Base of every error that ertacache throws on purpose. `message` is one sentence that names the thing;
 * `hint` is one sentence that says how to fix it. Names in them may come from files that nobody has looked at, so
 * both are made printable here, where none of them can be forgotten.
 */
export class ErtaError extends Error {
  /** What went wrong, for programs. */
  readonly code: ErrorCode;
  /** What to do about it, where something can be done. */
  readonly hint: string | undefined;

  /**
   * For ertacache's own code and for methods and models that are added to it.
   * @param code what went wrong
   * @param message one sentence that names the file, tensor or option
   * @param options `hint`: one sentence that says what to do; `cause`: the error beneath
   */
  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string | undefined; cause?: unknown | undefined } = {},
  ) {
    super(printable(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = options.hint === undefined ? undefined : printable(options.hint);
  }

  /**
   * True for any ErtaError, also one thrown by another copy of the package.
   * @param error anything that was thrown
   * @returns whether it is an error of ertacache
   * @example
   * try {
   *   await loadModel('./FLUX.1-dev');
   * } catch (error) {
   *   if (!ErtaError.isInstance(error)) throw error;
   *   console.error(error.code, error.message, error.hint);
   * }
   */
  static isInstance(error: unknown): error is ErtaError {
    return error instanceof Error && 'code' in error && 'hint' in error && typeof error.code === 'string';
  }
}

type Options = { hint?: string | undefined; cause?: unknown | undefined };

/** An option or an argument that cannot be right. */
export class UsageError extends ErtaError {
  /**
   * The code is `usage`.
   * @param message one sentence that names the option or the argument
   * @param options `hint`: one sentence that says what to do; `cause`: the error beneath
   */
  constructor(message: string, options?: Options) {
    super('usage', message, options);
  }
}

/** Why a checkpoint was refused; finer than the error code, stable for programs. */
export type CheckpointFault =
  | 'empty_file'
  | 'magic'
  | 'version'
  | 'truncated_header'
  | 'truncated_data'
  | 'header_length'
  | 'header_json'
  | 'header_entry'
  | 'alignment'
  | 'offsets'
  | 'tensor_size'
  | 'dtype'
  | 'missing_key'
  | 'unexpected_key'
  | 'shape_mismatch'
  | 'non_finite'
  | 'missing_config'
  | 'config_json'
  | 'config_class'
  | 'missing_weights'
  | 'missing_shard'
  | 'unsafe_path'
  | 'index_json';

/** A weight file or model folder that is broken or is not what its configuration says. */
export class CheckpointError extends ErtaError {
  /** What exactly is wrong with the checkpoint, for programs. */
  readonly fault: CheckpointFault;

  /**
   * The code is `checkpoint`.
   * @param fault what exactly is wrong
   * @param message one sentence that names the file or the tensor
   * @param options `hint`: one sentence that says what to do; `cause`: the error beneath
   */
  constructor(fault: CheckpointFault, message: string, options?: Options) {
    super('checkpoint', message, options);
    this.fault = fault;
  }
}

/** A configuration whose values contradict each other or the model class. */
export class ConfigError extends ErtaError {
  /**
   * The code is `config`.
   * @param message one sentence that names the field
   * @param options `hint`: one sentence that says what to do; `cause`: the error beneath
   */
  constructor(message: string, options?: Options) {
    super('config', message, options);
  }
}

/** Tensors whose shapes do not fit together. */
export class ShapeError extends ErtaError {
  /**
   * The code is `shape`.
   * @param message one sentence that names the shapes
   * @param options `hint`: one sentence that says what to do; `cause`: the error beneath
   */
  constructor(message: string, options?: Options) {
    super('shape', message, options);
  }
}

/** A backend that is missing, unusable or failed to build. */
export class EngineError extends ErtaError {
  /**
   * The code is `engine`.
   * @param message one sentence that names the backend
   * @param options `hint`: one sentence that says what to do; `cause`: the error beneath
   */
  constructor(message: string, options?: Options) {
    super('engine', message, options);
  }
}

/** Work that would not fit in the memory there is; thrown before it is begun. */
export class MemoryError extends ErtaError {
  /**
   * The code is `memory`.
   * @param message one sentence that says what is needed and what there is
   * @param options `hint`: one sentence that says what to do; `cause`: the error beneath
   */
  constructor(message: string, options?: Options) {
    super('memory', message, options);
  }
}

/** A caching policy that is broken, foreign to the model, or impossible. */
export class PolicyError extends ErtaError {
  /**
   * The code is `policy`.
   * @param message one sentence that says what does not fit
   * @param options `hint`: one sentence that says what to do; `cause`: the error beneath
   */
  constructor(message: string, options?: Options) {
    super('policy', message, options);
  }
}

/** Numbers that stopped being finite. */
export class NumericError extends ErtaError {
  /**
   * The code is `numeric`.
   * @param message one sentence that names the values
   * @param options `hint`: one sentence that says what to do; `cause`: the error beneath
   */
  constructor(message: string, options?: Options) {
    super('numeric', message, options);
  }
}

/** Something ertacache knows but does not do. */
export class UnsupportedError extends ErtaError {
  /**
   * The code is `unsupported`.
   * @param message one sentence that names what is not done
   * @param options `hint`: one sentence that says what to do; `cause`: the error beneath
   */
  constructor(message: string, options?: Options) {
    super('unsupported', message, options);
  }
}

/** A file that could not be read or written. */
export class IoError extends ErtaError {
  /**
   * The code is `io`.
   * @param message one sentence that names the file or the address
   * @param options `hint`: one sentence that says what to do; `cause`: the error beneath
   */
  constructor(message: string, options?: Options) {
    super('io', message, options);
  }
}

/** The user stopped the run; what was finished stays. It has the name that platforms give such errors. */
export class InterruptedError extends ErtaError {
  /** What the platform calls an error of this kind. */
  override readonly name = 'AbortError';
  /** What the signal was aborted with: `signal.reason`. */
  readonly reason: unknown;

  /**
   * The code is `interrupted`.
   * @param message what was stopped, and what has been kept
   * @param reason what the signal was aborted with; it is also the cause
   */
  constructor(message = 'Interrupted: what was finished has been kept.', reason?: unknown) {
    super('interrupted', message, { cause: reason });
    this.reason = reason;
  }
}
