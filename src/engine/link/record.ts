import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What `link.json` says about one linked binding. */
export interface LinkRecord {
  /** Version of this record; a record of another version is ignored. */
  schema: 2;
  /** Version that the TensorFlow library itself reports. */
  tensorflow: string;
  /** What ertacache adds to the binding, counted up when it changes; absent in the first links. */
  revision?: number;
  /** The published package whose binding was compiled. */
  binding: string;
  /** The Node that compiled it. The binding speaks N-API, so every Node runs it. */
  node?: string;
  /** The shared library that is linked, to notice that it has gone or changed. */
  library: { path: string; bytes: number; modified: number };
  compiler: string;
  /** When it was last asked for: the newest is used. */
  linked: string;
}

/** What ertacache adds to a binding today: 1 holds signals while TensorFlow computes, 2 passes lists of strings. */
export const REVISION = 2;

/** A linked binding on disk. */
export interface Link {
  folder: string;
  record: LinkRecord;
}

/** The per-user folder for what ertacache builds or fetches: $ERTACACHE_CACHE, else the XDG cache. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.ERTACACHE_CACHE) return env.ERTACACHE_CACHE;
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'ertacache');
}

/** The folder with one linked binding for each TensorFlow version. */
export function linksFolder(env: NodeJS.ProcessEnv = process.env): string {
  return join(cacheFolder(env), 'engine');
}

/** Reads the record in a link's folder; undefined when there is none or it cannot be understood. */
export function readRecord(folder: string): LinkRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(join(folder, 'link.json'), 'utf8')) as LinkRecord;
    return record.schema === 2 ? record : undefined;
  } catch {
    return undefined;
  }
}

/** Size and time of a shared library, enough to see that it was replaced. */
export function libraryStamp(path: string): LinkRecord['library'] {
  const { size, mtimeMs } = statSync(path);
  return { path, bytes: size, modified: Math.floor(mtimeMs) };
}

/** Why a link can no longer be used; undefined when it can. */
export function staleness({ record }: Link): string | undefined {
  if (record.revision !== REVISION) return 'it was linked by another version of ertacache';
  const { path, bytes, modified } = record.library;
  if (!existsSync(path)) return `its TensorFlow is gone (${path})`;
  const now = libraryStamp(path);
  return now.bytes === bytes && now.modified === modified ? undefined : `its TensorFlow has changed (${path})`;
}

/** All links, the newest first. */
export function listLinks(env: NodeJS.ProcessEnv = process.env): Link[] {
  const root = linksFolder(env);
  if (!existsSync(root)) return [];
  const links: Link[] = [];
  for (const name of readdirSync(root)) {
    const folder = join(root, name);
    const record = name.endsWith('.partial') ? undefined : readRecord(folder);
    if (record) links.push({ folder, record });
  }
  return links.sort((a, b) => b.record.linked.localeCompare(a.record.linked));
}

/** The link to use: the newest whose TensorFlow is still the one it was compiled against. */
export function findLink(env: NodeJS.ProcessEnv = process.env): Link | undefined {
  return listLinks(env).find(link => staleness(link) === undefined);
}
