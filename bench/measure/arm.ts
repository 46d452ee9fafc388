/** A process that does one kind of work whenever it is asked, and says how long it took. Started by `arms.ts`. */
import { draw } from '../../src/draw/draw';
import { selectBackend } from '../../src/engine/select';
import { syntheticDenoiser } from '../../src/lab/timing/bench-model';
import { syntheticCondition, syntheticLatents } from '../../src/lab/timing/synthetic-job';
import { workload } from '../../src/models/workload-of';
import { loadModel } from '../../src/pipelines/load';
import { policiesOnDisk } from '../../src/policy/on-disk';
import { forward } from '../../src/transformer/run';
import { cases } from '../vs-pytorch/cases';
import type { Arm, Work } from './arms';

async function ready(work: Work): Promise<() => Promise<void>> {
  if (work.do === 'picture') {
    const model = await loadModel(work.model);
    const policy = work.cached ? {} : { policy: 'none' };
    return async () =>
      void (await draw({ prompt: 'red heart', seed: 1, ...policy }, { model, policies: policiesOnDisk }));
  }
  const what = cases.find(({ name }) => name === work.case);
  if (!what) throw new Error(`No case ${work.case}; there are ${cases.map(({ name }) => name).join(', ')}.`);
  const { denoiser, className, config } = syntheticDenoiser({
    className: what.config._class_name,
    config: what.config,
  });
  const inputs = { className, config, work: workload(className, config, what.demand) };
  const seeds = Array.from({ length: what.batch ?? 1 }, (_, i) => i + 1);
  const [condition, latent] = [syntheticCondition(inputs, seeds), syntheticLatents(inputs, seeds)];
  const context = denoiser.prepare(condition, latent.shape);
  return async () => {
    const output = await forward(denoiser, latent, 500, context);
    await output.data();
    output.dispose();
  };
}

async function main({ backend, threads, work }: Arm): Promise<void> {
  const { label } = await selectBackend(backend, { threads });
  const run = await ready(work);
  process.on('message', async () => {
    const started = performance.now();
    await run();
    process.send!({ seconds: (performance.now() - started) / 1000 });
  });
  process.send!({ label });
}

main(JSON.parse(process.argv[2]!)).catch(error => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
