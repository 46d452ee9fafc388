import { Command } from 'commander';
import {
  type BenchReport,
  benchModel,
  type Described,
  type Rate,
  shortened,
  syntheticDenoiser,
} from '../../bench/bench-model';
import { UsageError } from '../../errors';
import { loadDenoiser } from '../../models/load-denoiser';
import { preset, presetNames } from '../../models/presets';
import { modelClassNames } from '../../models/registry';
import type { Size } from '../../models/workload';
import { type ComputeType, requireComputeType } from '../../nn/bfloat16';
import { componentOf, openModel } from '../../weights/open-model';
import { startBackend } from '../backend';
import { dtypeOption } from '../dtype-option';
import { numberBetween, pixelSize, wholeNumber } from '../parse';
import { flopsText } from './requirement-lines';
import { bytesText, countText } from './units';

interface Options {
  model: string;
  synthetic: boolean;
  offload: boolean;
  dtype: ComputeType;
  size?: Pick<Size, 'height' | 'width'>;
  frames?: number;
  textTokens?: number;
  blocks?: number;
  runs: number;
  steps?: number;
  policyShare: number;
  json: boolean;
}

/** `ertacache bench`: how fast a transformer runs here, and how much caching saves. */
export function benchCommand(): Command {
  return new Command('bench')
    .description('time a transformer on this machine')
    .requiredOption('--model <name>', `a transformer's folder, or with --synthetic one of ${presetNames().join(', ')}`)
    .option('--synthetic', 'take made-up weights of the published size', false)
    .option('--offload', 'leave the blocks of a folder on disk, one in memory at a time', false)
    .addOption(dtypeOption())
    .option('--size <HxW>', 'size of the picture in pixels (default: usual for the model)', pixelSize)
    .option('--frames <n>', 'frames (default: usual for the model)', wholeNumber(1))
    .option('--text-tokens <n>', 'tokens of text (default: usual for the model)', wholeNumber(1))
    .option('--blocks <n>', 'with --synthetic: at most so many blocks of every kind', wholeNumber(1))
    .option('--runs <n>', 'how often to time; the median counts', wholeNumber(1), 3)
    .option('--steps <n>', 'also time whole runs of so many steps, cached and uncached', wholeNumber(2))
    .option('--policy-share <share>', 'part of the steps that the cached run reuses', numberBetween(0.01, 0.99), 0.5)
    .option('--json', 'print JSON', false)
    .exitOverride()
    .action(async (options: Options, command: Command) => {
      const { size, frames, textTokens, runs, steps, policyShare: share, json } = options;
      const subject = await subjectOf(options);
      const backend = await startBackend(command);
      requireComputeType(options.dtype);
      const report = await benchModel(subject.load, subject.published, {
        demand: { ...size, frames, textTokens },
        runs,
        ...(steps !== undefined && {
          comparison: { steps, share, scheduler: schedulerOf(subject.published.className) },
        }),
        onProgress: what => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${what}`),
      });
      if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
      const { model, synthetic, dtype } = options;
      const heading = { model, synthetic, backend: backend.label, dtype };
      console.log(json ? JSON.stringify({ ...heading, ...report }, null, 2) : text(heading, report));
    });
}

interface Subject {
  readonly published: Described;
  load(): ReturnType<typeof loadDenoiser>;
}

async function subjectOf({ model, synthetic, offload, blocks, dtype }: Options): Promise<Subject> {
  if (synthetic) {
    if (offload) throw new UsageError('Made-up weights are on no disk, so --offload has nothing to read.');
    const { transformer } = preset(model);
    const published = { className: transformer._class_name, config: transformer };
    const described = blocks === undefined ? published : shortened(published, blocks);
    return { published, load: async () => syntheticDenoiser(described, { dtype }) };
  }
  if (presetNames().includes(model)) {
    throw new UsageError(`${model} names a published model, whose weights are not here.`, {
      hint: 'Give the folder of its transformer, or --synthetic for made-up weights.',
    });
  }
  if (blocks !== undefined) throw new UsageError('--blocks goes with --synthetic.');
  const opened = await openModel(model);
  const component = componentOf(opened, 'transformer');
  return { published: component, load: () => loadDenoiser(component, { offload, dtype }) };
}

/** The sampler of the first preset of a class. */
function schedulerOf(className: string): { readonly _class_name: string } {
  const name = presetNames().find(candidate => preset(candidate).transformer._class_name === className);
  if (name) return preset(name).scheduler;
  throw new UsageError(`Runs of the class ${className} cannot be timed.`, {
    hint: `Known classes: ${modelClassNames().join(', ')}.`,
  });
}

function text(
  heading: { model: string; synthetic: boolean; backend: string; dtype: ComputeType },
  report: BenchReport,
): string {
  const { size, tokens, textTokens, peakBytes, comparison } = report;
  const frames = size.frames === 1 ? '' : `, ${size.frames} frames`;
  const depth = report.blocks === report.allBlocks ? 'all' : `${report.blocks} of`;
  const lines = [
    `${heading.model} on ${heading.backend}${heading.synthetic ? ', made-up weights' : ''}, ${heading.dtype}`,
    `  ${size.height}x${size.width}${frames}: ${countText(tokens, 'token')} and ${textTokens.toLocaleString('en-US')} of text, ${depth} ${countText(report.allBlocks, 'block')}`,
    `  ${countText(report.parameters, 'parameter')}, ${bytesText(report.weightBytes)}, loaded in ${seconds(report.loadSeconds)}`,
    `  matrix product in float32 ${flopsText(report.matMulFlopsPerSecond)}/s`,
    rateLine('attention', report.attention),
    rateLine('block', report.block),
    rateLine('forward', report.forward),
    `  most memory in use: ${bytesText(peakBytes.all)}, ${bytesText(peakBytes.loaded)} after loading`,
  ];
  if (comparison) {
    const { stepSeconds, overheadSeconds } = comparison;
    lines.push(
      `  ${comparison.steps} steps, ${comparison.computed} computed (${comparison.schedule}): ${seconds(comparison.seconds.cached)} instead of ${seconds(comparison.seconds.uncached)}, ${comparison.speedup.toFixed(2)} times as fast`,
      `  a step: ${seconds(stepSeconds.uncached)} without a cache, ${seconds(stepSeconds.reused)} reused; caching adds ${seconds(Math.max(0, overheadSeconds))} to a computed one and holds ${bytesText(comparison.cacheBytes)}`,
    );
  }
  return lines.join('\n');
}

function rateLine(name: string, { seconds: time, flops, flopsPerSecond, shareOfMatMul }: Rate): string {
  const share = `${Math.round(100 * shareOfMatMul)} %`;
  return `  ${name.padEnd(10)} ${seconds(time).padStart(10)}     ${flopsText(flopsPerSecond)}/s, ${share} of that, for ${flopsText(flops)}`;
}

function seconds(value: number): string {
  return value >= 100
    ? `${value.toFixed(0)} s`
    : value >= 0.1
      ? `${value.toFixed(2)} s`
      : `${(1000 * value).toFixed(1)} ms`;
}
