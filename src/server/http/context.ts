import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Catalog } from '../catalog';
import type { Desk } from '../jobs/desk';
import type { Job } from '../jobs/job';
import type { Runner } from '../jobs/runner';
import type { Limits } from '../limits';
import type { Log } from '../log';
import type { Metrics } from '../metrics';

/** What routes work with. */
export interface Services {
  readonly catalog: Catalog;
  readonly desk: Desk;
  readonly runner: Runner;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly limits: Limits;
  readonly settings: HttpSettings;
  /** A page beside the interface, which lets in by itself who has a key. */
  readonly page?: Page | undefined;
  /** Whether that is away without which there are no jobs. */
  readonly isAway?: (() => boolean) | undefined;
}

/** A page at a path and below it. */
export interface Page {
  /** Below the server's own path, such as `/queue`. */
  readonly path: string;
  fetch(request: Request): Promise<Response>;
}

/** How requests are answered. */
export interface HttpSettings {
  /** Whether unknown fields are refused. */
  readonly strict: boolean;
  /** Whether prompts are logged. */
  readonly logPrompts: boolean;
  /** SHA-256 of the keys that are let in; everybody is where there are none. */
  readonly keys: readonly Buffer[];
  /** Origins of pages that may ask from a browser; `*` for all. */
  readonly origins: readonly string[];
  /** Requests a minute that a key may make; any number unless given. */
  readonly perMinute?: number | undefined;
  /** Whether only requests to this machine by its own name are heeded: pages elsewhere cannot then pose as it. */
  readonly onlyLoopback: boolean;
  /** Where the server is reached from outside, such as `https://example.org/pictures`. */
  readonly publicUrl?: string | undefined;
  /** Path before all others. */
  readonly basePath: string;
  /** How long finished files are kept, in milliseconds. */
  readonly keepMs: number;
  /** When an answer that takes long is begun, and how often it gives a sign of life after that, in milliseconds. */
  readonly headersAfterMs: number;
  readonly signMs: number;
}

/** What belongs to one request. */
export interface Env {
  Variables: {
    /** Whose request it is. */
    owner: string;
    requestId: string;
    /** What the log says of it. */
    notes: Record<string, unknown>;
    /** Settles at the end of an answer whose head goes out before that. */
    ended?: Promise<void>;
  };
}

export type App = OpenAPIHono<Env>;

/** Where the server is reached from outside, without a slash at its end. */
export const baseUrl = ({ publicUrl, basePath }: HttpSettings, requestUrl: string): string =>
  (publicUrl ?? `${new URL(requestUrl).origin}${basePath}`).replace(/\/$/, '');

/** Where a kept file of a job is fetched. */
export function fileUrl({ settings }: Services, requestUrl: string): (job: Job, name: string) => string {
  const base = baseUrl(settings, requestUrl);
  return ({ token }, name) => `${base}/v1/files/${token}/${name}`;
}
