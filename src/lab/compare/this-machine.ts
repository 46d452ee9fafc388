import { describeCpu, findGpus } from '../../engine/machine';
import { totalMemory } from '../../engine/memory';
import type { Circumstances } from './begin';

/** The machine that Node runs on. */
export async function thisMachine(): Promise<Pick<Circumstances, 'machine' | 'node'>> {
  const { model, threads } = describeCpu();
  const gpus = (await findGpus()).map(gpu => gpu.name);
  return { machine: { cpu: model, threads, gpus, memoryBytes: totalMemory() }, node: process.versions.node };
}
