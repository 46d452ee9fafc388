import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a hub says of a repository. */
export interface HubAnswers {
  readonly revision: Uint8Array;
  readonly tree: Uint8Array;
  /** The header that names the next page. */
  readonly link?: string;
}

let answers: HubAnswers;
let server: Promise<Server> | undefined;

/** The address of a server on this machine that gives these answers from now on. It does not keep the process alive. */
export async function hubThatSays(next: HubAnswers): Promise<string> {
  answers = next;
  server ??= new Promise(resolve => {
    const started = createServer(({ url = '' }, response) => {
      const isTree = url.includes('/tree/');
      response.setHeader('content-type', 'application/json');
      // A second page would have the header again, without end.
      if (isTree && answers.link !== undefined && url.endsWith('recursive=true'))
        response.setHeader('link', answers.link);
      response.end(isTree ? answers.tree : answers.revision);
    });
    started.unref();
    started.on('connection', socket => socket.unref());
    started.listen(0, '127.0.0.1', () => resolve(started));
  });
  return `http://127.0.0.1:${((await server).address() as AddressInfo).port}`;
}
