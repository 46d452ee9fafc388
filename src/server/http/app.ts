import { randomUUID } from 'node:crypto';
import { OpenAPIHono } from '@hono/zod-openapi';
import type { MiddlewareHandler, NotFoundHandler } from 'hono';
import { routePath } from 'hono/route';
import { secureHeaders } from 'hono/secure-headers';
import { errorAnswer } from './answers';
import type { App, Env, Services } from './context';
import { documentRoutes } from './document';
import { onError } from './errors';
import { awayGuard, keyGuard, loopbackOnly, originGuard, rateGuard } from './guards';
import { healthRoutes } from './health';
import { homeRoutes } from './home';
import { imageRoutes } from './images';
import { jobRoutes } from './jobs';
import { modelRoutes } from './models';
import { hasPlayground, playgroundRoutes } from './playground';
import { videoRoutes } from './videos';

/** Paths that tell nothing of anybody, or whose address is the key to them. */
const OPEN = ['/', '/docs', '/openapi.json', '/healthz', '/readyz', '/v1/files/:token/:name'];

/** What is answered while the queue is away, beside the playground. */
const ALWAYS = /^(\/|\/docs|\/openapi\.json|\/healthz|\/readyz|\/metrics|\/v1\/models.*)$/;

/** All routes, behind those who guard them. */
export function createApp(services: Services): App {
  const { settings } = services;
  const app = new OpenAPIHono<Env>();
  const { isAway = () => false } = services;
  const unlessAway = awayGuard(isAway);
  const inner = settings.basePath === '' ? app : (new OpenAPIHono<Env>() as App);

  inner.use(watched(services));
  // Before the others' headers: a page needs what an interface must not have.
  if (hasPlayground()) {
    if (settings.onlyLoopback) inner.use('/playground/*', loopbackOnly);
    inner.get('/playground', c => c.redirect(`${settings.basePath}/playground/`));
    inner.route('/playground', playgroundRoutes(`${settings.basePath}/playground`));
  }
  if (services.page) {
    const { path, fetch } = services.page;
    for (const at of [path, `${path}/*`]) {
      if (settings.onlyLoopback) inner.use(at, loopbackOnly);
      inner.use(at, originGuard(settings));
      inner.use(at, unlessAway);
      inner.all(at, c => fetch(c.req.raw));
    }
  }
  inner.use(
    secureHeaders({
      // Whether a whole domain is reached by https alone is its proxy's to say.
      strictTransportSecurity: false,
      contentSecurityPolicy: { defaultSrc: ["'none'"], styleSrc: ["'unsafe-inline'"], imgSrc: ["'self'"] },
      crossOriginResourcePolicy: settings.origins.length > 0 ? 'cross-origin' : 'same-origin',
    }),
  );
  if (settings.onlyLoopback) inner.use(loopbackOnly);
  inner.use(originGuard(settings));
  // After that of origins: a page may read why it is refused.
  inner.use(async (c, next) => (ALWAYS.test(pathIn(c.req.path, settings.basePath)) ? next() : unlessAway(c, next)));
  const guards = [keyGuard(settings), rateGuard(settings)];
  const isOpen = (path: string): boolean => OPEN.some(open => matches(open, path));
  for (const guard of guards) {
    inner.use(async (c, next) => (isOpen(pathIn(c.req.path, settings.basePath)) ? next() : guard(c, next)));
  }
  homeRoutes(inner, services);
  documentRoutes(inner);
  healthRoutes(inner, services);
  modelRoutes(inner, services);
  imageRoutes(inner, services);
  videoRoutes(inner, services);
  jobRoutes(inner, services);
  const nothing: NotFoundHandler<Env> = c => {
    const { method, path } = c.req;
    const methods = methodsAt(app, path);
    if (methods.length === 0) {
      const message = `There is nothing at this path; see ${settings.basePath}/docs.`;
      return c.json(errorAnswer(404, { code: 'not_found', message }), 404);
    }
    const allowed = methods.join(', ');
    const message = `${path} takes ${allowed}, and not ${method}; see ${settings.basePath}/docs.`;
    return c.json(errorAnswer(405, { code: 'method_not_allowed', message }), 405, { allow: allowed });
  };
  app.notFound(nothing);
  inner.onError(onError(services.log));
  if (inner !== app) {
    app.route(settings.basePath, inner);
    // Where a proxy sends those who ask for the path itself.
    homeRoutes(app, services, `${settings.basePath}/`);
  }
  return app;
}

const pathIn = (path: string, base: string): string => (path.startsWith(base) ? path.slice(base.length) || '/' : path);

/** Methods of the routes at a path: `ALL` are the guards before them. */
function methodsAt({ routes }: App, path: string): string[] {
  const methods = routes.filter(route => route.method !== 'ALL' && matches(route.path, path)).map(each => each.method);
  return [...new Set(methods.flatMap(method => (method === 'GET' ? ['GET', 'HEAD'] : method)))].sort();
}

function matches(pattern: string, path: string): boolean {
  const [want, is] = [pattern.split('/'), path.split('/')];
  return want.length === is.length && want.every((part, i) => (part.startsWith(':') ? is[i] !== '' : part === is[i]));
}

/** Gives every request an id, and says in the log and the figures how it ended. */
function watched({ log, metrics }: Services): MiddlewareHandler<Env> {
  return async (c, next) => {
    const started = performance.now();
    const id = randomUUID();
    c.set('requestId', id);
    c.set('notes', {});
    c.header('x-request-id', id);
    await next();
    const { status } = c.res;
    // The pattern, not the path: figures must not grow with what is asked.
    const route = routePath(c, -1);
    const { method } = c.req;
    const { owner, notes, ended } = c.var;
    const tell = (): void => {
      const ms = performance.now() - started;
      metrics.request(route, status, ms / 1000);
      log.info({ id, method, route, status, ms: Math.round(ms), ...(owner && { owner }), ...notes }, 'request');
    };
    if (ended) void ended.then(tell);
    else tell();
  };
}
