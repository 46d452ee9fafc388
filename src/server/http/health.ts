import type { App, Services } from './context';

/** `GET /healthz`: the server answers. `GET /readyz`: something can be drawn. `GET /metrics`: for Prometheus. */
export function healthRoutes(app: App, { runner, desk, metrics }: Services): void {
  app.get('/healthz', c => c.json({ status: 'ok' }));
  app.get('/readyz', c => {
    const { ready, faults, workers } = runner.health();
    const states = workers.map(({ state }) => state);
    const isOpen = desk.isOpen();
    return c.json(
      { status: ready && isOpen ? 'ready' : 'not ready', workers: states, ...desk.counts(), faults },
      ready && isOpen ? 200 : 503,
    );
  });
  app.get('/metrics', async c =>
    c.body(await metrics.registry.metrics(), 200, { 'content-type': metrics.registry.contentType }),
  );
}
