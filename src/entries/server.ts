/**
 * Pictures and clips over HTTP: what `ertacache serve` runs, as a handler that takes a `Request` and gives a `Response`.
 * @packageDocumentation
 */
export type { Limits } from '../server/limits';
export type { ServerOptions } from '../server/options';
export { createServer, type PictureServer } from '../server/server';
