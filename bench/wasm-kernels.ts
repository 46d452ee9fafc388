/**
 * What ertacache's own kernels bring in WebAssembly: a forward pass with tfjs's, with those without FMA and, where there is
 * relaxed SIMD, with those with it, in turns. Processor time, since others may use the machine; ratios are medians of the
 * turns, with the middle half of them.
 *
 *   node bench/run.cjs bench/wasm-kernels.ts [--case fluent-emoji] [--runs 60]
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { describeCpu } from '../src/engine/machine';
import { selectBackend } from '../src/engine/select';
import { syntheticDenoiser } from '../src/lab/timing/bench-model';
import { syntheticCondition, syntheticLatents } from '../src/lab/timing/synthetic-job';
import { median } from '../src/metrics/statistics';
import { workload } from '../src/models/workload-of';
import { hasLevel, useKernels } from '../src/nn/wasm/run';
import { forward } from '../src/transformer/run';
import { cases } from './vs-pytorch/cases';

/** Passes before the code is compiled as well as it will be. */
const WARM = 15;

const { values: given } = parseArgs({
  options: { case: { type: 'string', default: 'fluent-emoji' }, runs: { type: 'string', default: '60' } },
});

async function main(): Promise<void> {
  const { label } = await selectBackend('wasm');
  const what = cases.find(({ name }) => name === given.case);
  if (!what) throw new Error(`No case ${given.case}; there are ${cases.map(({ name }) => name).join(', ')}.`);
  const { denoiser, className, config } = syntheticDenoiser({
    className: what.config._class_name,
    config: what.config,
  });
  const inputs = { className, config, work: workload(className, config, what.demand) };
  const seeds = Array.from({ length: what.batch ?? 1 }, (_, i) => i + 1);
  const [condition, latent] = [syntheticCondition(inputs, seeds), syntheticLatents(inputs, seeds)];
  const context = denoiser.prepare(condition, latent.shape);
  const all = [undefined, 'plain', 'fma'] as const;
  const usable = await Promise.all(all.map(hasLevel));
  const levels = all.filter((_, i) => usable[i]);
  const times = levels.map((): number[] => []);
  const before = loadavg()[0] as number;
  for (let run = -WARM; run < Number(given.runs); run++) {
    for (const [i, level] of levels.entries()) {
      await useKernels(level);
      const started = process.cpuUsage();
      const output = await forward(denoiser, latent, 500, context);
      await output.data();
      output.dispose();
      const { user, system } = process.cpuUsage(started);
      if (run >= 0) times[i]!.push((user + system) / 1000);
    }
  }
  const load = [before, loadavg()[0] as number].map(l => l.toFixed(1)).join(' and ');
  console.log(`${label}, Node ${process.versions.node}, ${cpus()[0]?.model} (${describeCpu().features.join(' ')})`);
  console.log(`${what.name}: ${given.runs} passes in turns, load ${load} before and after`);
  for (const [i, level] of levels.entries()) {
    const ratios = times[i]!.map((t, turn) => t / times[0]![turn]!).sort((a, b) => a - b);
    const at = (share: number): string => ratios[Math.floor(share * (ratios.length - 1))]!.toFixed(2);
    const name = (level ?? 'tfjs').padEnd(6);
    console.log(`${name} ${median(times[i]!).toFixed(1)} ms  by tfjs's ${at(0.5)} (${at(0.25)} to ${at(0.75)})`);
  }
}

main().catch(error => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
