import { type Catalog, readCatalog } from '../server/catalog';
import type { Runner } from '../server/jobs/runner';
import type { Log } from '../server/log';
import { type ServerOptions, USUAL } from '../server/options';
import { namedPolicies, threadsFor } from '../server/server';
import { processPool } from '../server/workers/pool';

/** What a worker draws with: the same options as a server's. */
export type PoolOptions = Pick<
  ServerOptions,
  'models' | 'policies' | 'backend' | 'threads' | 'workers' | 'modelsInMemory'
>;

/** The processes that draw for a worker, and the models that they can draw with. */
export async function workerPool(
  options: PoolOptions,
  log: Log,
  script?: string,
): Promise<{ readonly runner: Runner; readonly catalog: Catalog }> {
  const { workers = USUAL.workers } = options;
  const catalog = await readCatalog(options.models ?? []);
  const policies = await namedPolicies(options.policies ?? []);
  const runner = processPool({
    ...{ count: workers, log, script },
    begin: {
      type: 'begin',
      backend: options.backend ?? USUAL.backend,
      threads: options.threads ?? (await threadsFor(catalog, workers)),
      verbose: false,
      models: Object.fromEntries(catalog.models.map(({ id, path }) => [id, path])),
      policies,
      held: options.modelsInMemory ?? USUAL.modelsInMemory,
      first: catalog.models[0]?.id,
    },
  });
  return { runner, catalog };
}
