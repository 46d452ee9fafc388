import type { Logger } from 'pino';

/** Where the server says what it does: one JSON object a line. */
export type Log = Pick<Logger, 'info' | 'warn' | 'error'>;
