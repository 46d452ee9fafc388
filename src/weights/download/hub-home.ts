/** Where the hub's own tools keep what they downloaded, and the token of `hf auth login`. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { UsageError } from '../../errors';

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
 * @param env HF_TOKEN, or else the file that HF_TOKEN_PATH names or `hf auth login` wrote
 * @throws UsageError for what cannot be a token
 */
export function hubToken(env: Environment = process.env): string | undefined {
  const given = env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN;
  if (given) return requireToken(given.trim(), 'HF_TOKEN');
  const path = env.HF_TOKEN_PATH || join(hubHome(env), 'token');
  if (isOn(env.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined;
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
 */
export function cachedRepository(name: string, env: Environment = process.env): string | undefined {
  const [, owner, model] = REPOSITORY.exec(name) ?? [];
  return owner === undefined ? undefined : snapshotIn(join(hubCache(env), `models--${owner}--${model}`));
}

/**
 * The snapshot in a repository's folder of the hub's cache, `models--owner--model`: the one that `refs/main` names, or
 * the newest.
 */
export function snapshotIn(folder: string): string | undefined {
  const snapshots = join(folder, 'snapshots');
  if (!basename(folder).startsWith('models--') || !existsSync(snapshots)) return undefined;
  const main = join(folder, 'refs/main');
  const commit = existsSync(main) ? readFileSync(main, 'utf8').trim() : '';
  if (/^[0-9a-f]+$/.test(commit) && existsSync(join(snapshots, commit))) return join(snapshots, commit);
  const [newest] = readdirSync(snapshots)
    .map(name => join(snapshots, name))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  return newest;
}
