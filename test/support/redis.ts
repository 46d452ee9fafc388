import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const REQUIRED = 'ERTACACHE_TEST_REDIS';

const isHere = (() => {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** A Redis of a test's own, in a folder that goes with it. */
export interface TestRedis {
  readonly port: number;
  readonly url: string;
  /** Ends it as a power cut does, and starts it again on its append-only file. */
  restart(): Promise<void>;
  /** Ends it, and starts it again on what it had. */
  end(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** A port that nobody listens to. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** @param options further ones of `redis-server` */
export async function startRedis(...options: readonly string[]): Promise<TestRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'ertacache-redis-'));
  const port = await freePort();
  let child: ChildProcess;
  async function start(): Promise<void> {
    const usual = ['--port', String(port), '--dir', folder, '--bind', '127.0.0.1', '--save', ''];
    child = spawn('redis-server', [...usual, '--appendonly', 'yes', '--appendfsync', 'always', ...options], {
      stdio: 'ignore',
    });
    const ports = options.includes('--tls-port') ? Number(options[options.indexOf('--tls-port') + 1]) : port;
    while (!(await answers(ports))) await wait(20);
  }
  async function end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  }
  await start();
  return {
    port,
    start,
    end: () => end('SIGKILL'),
    url: `redis://127.0.0.1:${port}`,
    async restart() {
      await end('SIGKILL');
      await start();
    },
    async stop() {
      await end('SIGKILL');
      rmSync(folder, { recursive: true });
    },
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/**
 * A `describe` of tests that need a Redis. Where there is none they are left out, and say so; with
 * ERTACACHE_TEST_REDIS=required that is a failure.
 */
export function describeWithRedis(name: string, body: () => void): void {
  if (isHere) {
    describe(name, body);
    return;
  }
  if (process.env[REQUIRED] === 'required') {
    test(name, () => Promise.reject(new Error(`There is no redis-server, and ${REQUIRED} asks for one.`)));
    return;
  }
  process.stderr.write(`LEFT OUT: "${name}" needs redis-server, and there is none here.\n`);
  test.skip(`${name} (there is no redis-server here)`, () => {});
}
