import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { COMMIT } from './hub';

/** A hub on this machine whose repositories are the folders `owner/name` under `root`. */
export async function startFolderHub(root: string): Promise<{ endpoint: string; asked: string[]; server: Server }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://hub');
    const [, name, kind] = /^\/api\/models\/([\w.-]+\/[\w.-]+)\/(revision|tree)\//.exec(pathname) ?? [];
    const [, from, path] = /^\/([\w.-]+\/[\w.-]+)\/resolve\/[0-9a-f]+\/(.+)$/.exec(pathname) ?? [];
    const json = (value: unknown): void => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    try {
      if (name !== undefined) json(kind === 'tree' ? tree(join(root, name)) : { sha: COMMIT });
      else if (from !== undefined) {
        const bytes = readFileSync(join(root, from, path as string));
        asked.push(`${from}/${path}`);
        response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
      } else response.writeHead(404).end();
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, server };
}

const sha = (kind: 'sha1' | 'sha256', ...parts: (string | Buffer)[]): string =>
  parts.reduce((hash, part) => hash.update(part), createHash(kind)).digest('hex');

function tree(folder: string): object[] {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(folder.length + 1));
  return paths.map(path => {
    const content = readFileSync(join(folder, path));
    const [size, oid] = [content.length, sha('sha1', `blob ${content.length}\0`, content)];
    const lfs = path.endsWith('.safetensors') ? { lfs: { oid: sha('sha256', content), size } } : {};
    return { type: 'file', path, size, oid, ...lfs };
  });
}
