/**
 * Broken inputs by the million: everything that the product reads from outside, in memory. Every one must pass or end in
 * an error of the library, within a second.
 *
 *   node bench/run.cjs bench/fuzz.ts [--inputs 1000000] [--seed 1] [--target NAME]
 */
import { parseArgs } from 'node:util';
import { fuzz } from '../test/fuzz/check';
import { targets } from '../test/fuzz/targets';

const { values: given } = parseArgs({
  options: {
    inputs: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string' },
  },
});

/** Seconds of processor time that one input may take. */
const LIMIT = 1;
/** Inputs of one run of fast-check: it keeps them all until the run ends. */
const ROUND = 2000;

async function main(): Promise<void> {
  const chosen = targets.filter(({ name }) => given.target === undefined || name.includes(given.target));
  const share = Number(given.inputs) / chosen.reduce((sum, { cost = 1 }) => sum + 1 / cost, 0);
  let failed = 0;
  for (const target of chosen) {
    const started = performance.now();
    const each = Math.ceil(share / (target.cost ?? 1));
    let done = 0;
    try {
      for (let round = 0; done < each; round++) {
        const count = Math.min(ROUND, each - done);
        await fuzz(target, count, Number(given.seed) + round, LIMIT);
        done += count;
      }
    } catch (error) {
      failed++;
      console.log(`${target.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const memory = Math.round(process.memoryUsage.rss() / 1e6);
    console.log(`${target.name.padEnd(34)} ${done} inputs, ${seconds} s, ${memory} MB resident`);
  }
  if (failed > 0) process.exitCode = 1;
}

void main();
