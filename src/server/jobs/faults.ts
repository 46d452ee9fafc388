import { ErtaError } from '../../errors';

/** Statuses of refusals. */
export type RefusalStatus = 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 429 | 500 | 503;

/** Why a request is not heeded: what its answer says. */
export class Refusal extends Error {
  constructor(
    readonly status: RefusalStatus,
    /** For programs. */
    readonly code: string,
    message: string,
    /** The field that is at fault, and after how many seconds another try may do better. */
    readonly more: { readonly param?: string | undefined; readonly retryAfter?: number | undefined } = {},
  ) {
    super(message);
  }
}

/** A failure as clients are told of it. */
export interface Fault {
  readonly code: string;
  readonly message: string;
}

/** What is nobody's fault outside. */
export const INTERNAL: Fault = {
  code: 'internal',
  message: 'Something went wrong in the server; its log says what.',
};

/** A failure as clients are told of it: the sentences of the command line, and nothing of what is not meant for them. */
export function faultOf(error: unknown): Fault {
  if (error instanceof Refusal) return { code: error.code, message: error.message };
  if (!ErtaError.isInstance(error)) return INTERNAL;
  const { code, message, hint } = error;
  return { code, message: hint === undefined ? message : `${message} ${hint}` };
}

/** The code of an uploaded picture that cannot be read. */
export const INVALID_IMAGE = 'invalid_image';

/** Codes of failures that a request itself brings about: asking again would not help. */
const OF_REQUEST = [INVALID_IMAGE, 'usage', 'shape', 'policy', 'unsupported', 'memory'];

export const isOfRequest = (code: string): boolean => OF_REQUEST.includes(code);

/** The status of a failed job. */
export function statusOf(code: string): RefusalStatus {
  if (isOfRequest(code)) return 400;
  if (code === 'shutting_down' || code === 'interrupted' || code === 'cancelled') return 503;
  return 500;
}
