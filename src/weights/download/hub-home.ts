/** Where the hub's own tools keep what they downloaded, and the token of `hf auth login`. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { IoError, UsageError } from '../../errors';

type Environment = NodeJS.ProcessEnv;

function hubHome({ HF_HOME, XDG_CACHE_HOME }: Environment): string {
  return HF_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
}

/**
 * The folder of downloaded repositories.
 * @param env HF_HUB_CACHE, or HF_HOME with the folder `hub`
 */
export function hubCache(env: Environment = process.env): string {
  return env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(hubHome(env), 'hub');
}

/**
 * The access token of the hub.
 * @param env HF_TOKEN, or else the file that HF_TOKEN_PATH names or `hf auth login` wrote; none of them under
 *   HF_HUB_DISABLE_IMPLICIT_TOKEN
 * @throws UsageError for what cannot be a token
 */
export function hubToken(env: Environment = process.env): string | undefined {
  if (isOn(env.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined;
  const given = env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN;
  if (given) return requireToken(given.trim(), 'HF_TOKEN');
  const path = env.HF_TOKEN_PATH || join(hubHome(env), 'token');
  let text: string;
  try {
    if (statSync(path).size > 10_000) throw new UsageError(`${path} is too large to hold an access token.`);
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (error instanceof UsageError) throw error;
    return undefined;
  }
  return text === '' ? undefined : requireToken(text, path);
}

/** How the hub's tools read a switch. */
const isOn = (value: string | undefined): boolean => /^(1|on|yes|true)$/i.test(value ?? '');

function requireToken(token: string, where: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new UsageError(`${where} holds no access token: it is more than one word.`, {
    hint: 'Log in again with `hf auth login`, or put the token alone in HF_TOKEN.',
  });
}

const REPOSITORY = /^([\w.-]+)\/([\w.-]+)$/;

/**
 * The folder of a repository that the hub's tools have downloaded.
 * @param name such as `owner/model`
 * @returns the newest snapshot of its main branch; undefined where there is none
 * @throws IoError where what was downloaded is broken
 */
export function cachedRepository(name: string, env: Environment = process.env): string | undefined {
  const [, owner, model] = REPOSITORY.exec(name) ?? [];
  return owner === undefined ? undefined : snapshotIn(join(hubCache(env), `models--${owner}--${model}`));
}

/**
 * The snapshot in a repository's folder of the hub's cache, `models--owner--model`: the one that `refs/main` names, or
 * the newest. Those without any file are passed over.
 * @returns undefined where nothing was downloaded
 * @throws IoError where none of the snapshots holds a file
 */
export function snapshotIn(folder: string): string | undefined {
  const snapshots = join(folder, 'snapshots');
  if (!basename(folder).startsWith('models--') || !existsSync(snapshots)) return undefined;
  const commit = orElse('', () => readFileSync(join(folder, 'refs/main'), 'utf8').trim());
  const named = join(snapshots, commit);
  if (/^[0-9a-f]+$/.test(commit) && holdsFiles(named)) return named;
  const [newest] = orElse([], () => readdirSync(snapshots))
    .map(name => join(snapshots, name))
    .filter(holdsFiles)
    .sort((a, b) => changedAt(b) - changedAt(a));
  if (newest !== undefined) return newest;
  const name = basename(folder).split('--').slice(1).join('/');
  throw new IoError(`The hub's cache of ${name} is broken: ${snapshots} holds no snapshot with files in it.`, {
    hint: 'Download it again.',
  });
}

/** Whether it is a folder with a file or a link in it, at any depth. Hidden files, such as of Finder, do not count. */
function holdsFiles(folder: string): boolean {
  const entries = orElse([], () => readdirSync(folder, { withFileTypes: true }));
  return entries.some(entry =>
    entry.isDirectory() ? holdsFiles(join(folder, entry.name)) : !entry.name.startsWith('.'),
  );
}

const changedAt = (path: string): number => orElse(0, () => statSync(path).mtimeMs);

/** What a call of the file system gives, or something else where it fails. */
function orElse<T>(other: T, read: () => T): T {
  try {
    return read();
  } catch {
    return other;
  }
}
