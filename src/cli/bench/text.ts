import type { DecodeReport } from '../../lab/timing/bench-decode';
import type { BenchReport, Rate, RunComparison } from '../../lab/timing/bench-model';
import type { SampleReport } from '../../lab/timing/bench-sample';
import type { PictureSize } from '../../sampling/pipeline';
import { flopsText } from '../commands/requirement-lines';
import { bytesText, countText } from '../commands/units';

/** Lines that say what a transformer did. */
export function transformerLines(report: BenchReport): string[] {
  const { size, tokens, textTokens, rows, peakBytes, comparison } = report;
  const depth = report.blocks === report.allBlocks ? 'all' : `${report.blocks} of`;
  const batch = rows === 1 ? '' : `, ${rows} rows`;
  return [
    `  ${sizeText(size)}: ${countText(tokens, 'token')} and ${textTokens.toLocaleString('en-US')} of text${batch}, ${depth} ${countText(report.allBlocks, 'block')}`,
    `  ${countText(report.parameters, 'parameter')}, ${bytesText(report.weightBytes)}, loaded in ${seconds(report.loadSeconds)}`,
    `  matrix products of these sizes in float32 ${flopsText(report.matMulFlopsPerSecond)}/s`,
    rateLine('attention', report.attention),
    rateLine('block', report.block),
    rateLine('forward', report.forward),
    `  most memory in use: ${bytesText(peakBytes.all)}, ${bytesText(peakBytes.loaded)} after loading`,
    ...(comparison ? comparisonLines(comparison) : []),
  ];
}

function comparisonLines({ stepSeconds, overheadSeconds, ...run }: RunComparison): string[] {
  return [
    `  ${run.steps} steps, ${run.computed} computed (${run.schedule}): ${seconds(run.seconds.cached)} instead of ${seconds(run.seconds.uncached)}, ${run.speedup.toFixed(2)} times as fast`,
    `  a step: ${seconds(stepSeconds.uncached)} without a cache, ${seconds(stepSeconds.reused)} reused; caching adds ${seconds(Math.max(0, overheadSeconds))} to a computed one and holds ${bytesText(run.cacheBytes)}`,
  ];
}

/** The line that says how long decoding took. */
export function decodeLine({ size, tiled, seconds: time, peakBytes }: DecodeReport): string {
  return `  decode     ${seconds(time).padStart(10)}     ${sizeText(size)}${tiled ? ' in tiles' : ''}; most memory in use: ${bytesText(peakBytes)}`;
}

/** Lines that say what whole samples did. */
export function sampleLines(report: SampleReport): string[] {
  const { loopSeconds, stepSeconds, speedup, ideal } = report;
  return [
    `  sample     ${seconds(report.seconds.cached).padStart(10)}     instead of ${seconds(report.seconds.uncached)}, prompt to pixels: ${sizeText(report.size)}, "${report.prompt}", guidance ${report.guidance}`,
    `  ${report.steps} steps with ${report.policy}: ${Number(report.forwards.toFixed(2))} forward passes (${report.schedule})`,
    `  the loop: ${seconds(loopSeconds.cached)} instead of ${seconds(loopSeconds.uncached)}, ${speedup.toFixed(2)} times as fast, ${(speedup / ideal).toFixed(3)} of what free reuse would give`,
    `  a step: ${seconds(stepSeconds.uncached)} without a cache, ${seconds(stepSeconds.computed)} computed, ${seconds(stepSeconds.reused)} reused`,
  ];
}

function sizeText({ height, width, frames }: PictureSize): string {
  return `${height}x${width}${frames === 1 ? '' : `, ${frames} frames`}`;
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
