import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { serveStatic } from '@hono/node-server/serve-static';
import { Hono, type MiddlewareHandler } from 'hono';
import { secureHeaders } from 'hono/secure-headers';
import { packageRoot } from '../../io/package-root';
import { loopbackOnly } from './guards';

/** Where the parts of the playground lie in the package, by where its page asks for them; the page itself last. */
export const PLAYGROUND_FOLDERS = [
  ['/models', 'converted-models'],
  ['/calibration', 'calibration'],
  ['/browser', 'dist/browser'],
  ['', 'dist/playground'],
] as const;

/** The page of the playground in the package. */
const PAGE = 'dist/playground/index.html';

/** Whether the package holds the playground; a clone does once it is built. */
export const hasPlayground = (root = packageRoot()): boolean => existsSync(join(root, PAGE));

/**
 * The playground: files of the package, with the headers that give pages threads and the policy that keeps them to
 * themselves.
 * @param prefix the path before all of its own
 * @param root folder of the package
 */
export function playgroundRoutes(prefix = '', root = packageRoot()): Hono {
  const app = new Hono();
  app.use(
    secureHeaders({
      // Whether a whole domain is reached by https alone is its proxy's to say.
      strictTransportSecurity: false,
      crossOriginEmbedderPolicy: 'require-corp',
      crossOriginOpenerPolicy: 'same-origin',
      crossOriginResourcePolicy: 'same-origin',
      contentSecurityPolicy: {
        defaultSrc: ["'self'"],
        // The threads of TensorFlow.js, and the views of ndarray, are made from text.
        scriptSrc: ["'self'", "'unsafe-eval'", "'wasm-unsafe-eval'", 'blob:'],
        workerSrc: ["'self'", 'blob:'],
        connectSrc: ["'self'", 'blob:', 'data:'],
        imgSrc: ["'self'", 'blob:', 'data:'],
        mediaSrc: ["'self'", 'blob:'],
        // The bars and marks of charts have a place.
        styleSrc: ["'self'", "'unsafe-inline'"],
        frameAncestors: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
      },
    }),
  );
  for (const [path, folder] of PLAYGROUND_FOLDERS) {
    const from = `${prefix}${path}`;
    const within = join(root, folder);
    const place = (asked: string): string => asked.slice(from.length);
    app.use(`${path}/*`, keptInside(within, place));
    app.use(`${path}/*`, cached);
    app.use(`${path}/*`, oneRange);
    app.use(`${path}/*`, serveStatic({ root: within, rewriteRequestPath: place }));
  }
  return app;
}

/** The playground as a server of its own, which answers to this machine's own names alone. */
export function createPlayground(root?: string): Hono {
  const app = new Hono();
  app.use(loopbackOnly as unknown as MiddlewareHandler);
  app.onError((error, c) => c.text(error.message, 403));
  app.route('/', playgroundRoutes('', root));
  return app;
}

/** Files with their hash in the name never change; of all others the browser asks whether they have. */
const cached: MiddlewareHandler = async (c, next) => {
  await next();
  const named = /\/assets\/[^/]+-[\w-]{8}\.\w+$/.test(c.req.path);
  c.header('cache-control', named ? 'public, max-age=31536000, immutable' : 'no-cache');
};

/** A range of bytes: from here to there, from here on, or the last so many. */
const RANGE = /^bytes=(\d+-\d*|-\d+)$/;

/**
 * Passes over what is not one range of bytes, and what depends on a state of the file: the whole file is then the right
 * answer, and not a part which is called one.
 */
const oneRange: MiddlewareHandler = async (c, next) => {
  const asked = c.req.header('range');
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(asked ?? '') ?? [];
  const isBackwards = first !== undefined && Number(first) > Number(last);
  if (asked !== undefined && (!RANGE.test(asked) || isBackwards || c.req.header('if-range') !== undefined)) {
    c.req.raw.headers.delete('range');
  }
  await next();
};

/** Refuses what lies elsewhere, and is reached through a link in the folder. */
function keptInside(folder: string, place: (path: string) => string): MiddlewareHandler {
  return async (c, next) => {
    const [home, real] = await Promise.all(
      [folder, join(folder, decoded(place(c.req.path)))].map(path => realpath(path).catch(() => undefined)),
    );
    if (real !== undefined && home !== undefined && real !== home && !real.startsWith(home + sep)) return c.notFound();
    return next();
  };
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path).replaceAll('\0', '');
  } catch {
    return path;
  }
}
