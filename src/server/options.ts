import type { BackendRequest } from '../engine/types';
import type { Limits } from './limits';

/** How a server draws, and whom it answers. */
export interface ServerOptions {
  /** Folders of models, or `NAME=FOLDER`, beside those that ship with ertacache. */
  readonly models?: readonly string[] | undefined;
  /** Files of policies that requests may name, by the file's name without `.json`. */
  readonly policies?: readonly string[] | undefined;
  /** Where tensors run; the best that works by default. */
  readonly backend?: BackendRequest | undefined;
  /** Threads that every worker computes with. */
  readonly threads?: number | undefined;
  /** Processes that draw; 1 by default. Each holds its own models. */
  readonly workers?: number | undefined;
  /** Models that every worker keeps in memory; 2 by default. */
  readonly modelsInMemory?: number | undefined;
  /** Pictures of equal settings that are drawn as one batch; 4 of a small model (2 in WebAssembly), else 1 by default. */
  readonly maxBatch?: number | undefined;
  /** Folder for jobs and their files, which then outlive the process; without it they are held in memory. */
  readonly data?: string | undefined;
  /** How long finished jobs are kept, in milliseconds; 7 days by default. */
  readonly keepMs?: number | undefined;
  /** Bytes of finished files that are kept; 10 GB by default. The oldest go first. */
  readonly maxDisk?: number | undefined;
  /** Pictures and clips that may wait; 64 by default. */
  readonly maxQueue?: number | undefined;
  /** Keys that are let in; everybody by default. */
  readonly apiKeys?: readonly string[] | undefined;
  /** Requests a minute that each key may make; any number by default. */
  readonly perMinute?: number | undefined;
  /** Origins of pages that may ask from a browser; none by default, `*` for all. */
  readonly origins?: readonly string[] | undefined;
  /** Whether only requests that name this machine as `localhost` are heeded. */
  readonly onlyLoopback?: boolean | undefined;
  /** How much one request may ask for: whole numbers, each the usual one unless given. */
  readonly limits?: Partial<Limits> | undefined;
  /** Whether fields that the interface does not know are refused. */
  readonly strict?: boolean | undefined;
  /** Path that stands before all others, where the server is mounted below one. */
  readonly basePath?: string | undefined;
  /** Where the server is reached from outside; what requests name by default. */
  readonly publicUrl?: string | undefined;
  /** What is logged, as JSON on stdout: `info` by default, `silent` for nothing. */
  readonly logLevel?: 'silent' | 'error' | 'warn' | 'info' | undefined;
  /** Whether prompts are logged. */
  readonly logPrompts?: boolean | undefined;
  /** When an answer that takes long is begun before it is known, in milliseconds; 10 seconds by default. */
  readonly headersAfterMs?: number | undefined;
  /** How long an equal request still gets what is finished, in milliseconds; 60 seconds by default. */
  readonly joinMs?: number | undefined;
}

/** Pictures of one batch. */
export const MOST_TOGETHER = 64;

/** What is not asked for otherwise. */
export const USUAL = {
  backend: 'auto',
  workers: 1,
  modelsInMemory: 2,
  keepMs: 7 * 24 * 3_600_000,
  maxDisk: 10e9,
  maxQueue: 64,
  headersAfterMs: 10_000,
  joinMs: 60_000,
  /** How often a long answer gives a sign of life, in milliseconds. */
  signMs: 10_000,
  graceMs: 30_000,
} as const;
