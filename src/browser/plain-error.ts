import * as errors from '../errors';
import type { PlainError } from './protocol';

/** An error for the other side. */
export function toPlain(error: unknown): PlainError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { name, message, stack } = error;
  if (!errors.ErtaError.isInstance(error)) return { name, message, stack };
  const { code, hint } = error;
  return { name, message, stack, code, hint, ...('fault' in error && { fault: String(error.fault) }) };
}

const CLASSES = {
  usage: errors.UsageError,
  config: errors.ConfigError,
  shape: errors.ShapeError,
  engine: errors.EngineError,
  memory: errors.MemoryError,
  policy: errors.PolicyError,
  numeric: errors.NumericError,
  unsupported: errors.UnsupportedError,
  io: errors.IoError,
} as const;

/**
 * The same error on this side: of the library's own class where it was one of the library's.
 * @param reason what the signal was aborted with, for interruptions
 */
export function fromPlain(plain: PlainError, reason?: unknown): Error {
  const error = revived(plain, reason);
  // Where it was thrown is of more use than where it arrived.
  if (plain.stack !== undefined) error.stack = plain.stack;
  return error;
}

function revived({ name, message, code, hint, fault }: PlainError, reason: unknown): Error {
  if (code === 'interrupted') return new errors.InterruptedError(message, reason);
  if (code === 'checkpoint') {
    return new errors.CheckpointError(fault as errors.CheckpointFault, message, { hint });
  }
  if (code !== undefined && Object.hasOwn(CLASSES, code)) {
    return new CLASSES[code as keyof typeof CLASSES](message, { hint });
  }
  return Object.assign(new Error(message), { name });
}
