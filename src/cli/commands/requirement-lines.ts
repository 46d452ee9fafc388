import type { Requirements } from '../../models/requirements';
import { bytesText, countText } from './units';

/** What a transformer asks of this machine, as lines of text. */
export function requirementLines({ bytes, size, tokens, textTokens, flops, memory }: Requirements): string[] {
  const frames = size.frames === 1 ? '' : `, ${size.frames} frames`;
  const share = Math.round((100 * flops.attention) / flops.forward);
  const verdict = (fits: boolean): string => (fits ? 'fits' : 'does not fit');
  return [
    `  weights: ${bytesText(bytes.float32)} as float32, ${bytesText(bytes.float16)} as float16 or bfloat16`,
    `  at ${size.height}x${size.width}${frames}: ${countText(tokens, 'token')} and ${textTokens.toLocaleString('en-US')} of text`,
    `  one forward pass: ${flopsText(flops.forward)}, ${share} % of it attention`,
    `  in memory: about ${bytesText(memory.resident.bytes)}, ${verdict(memory.resident.fits)}`,
    `  with --offload: about ${bytesText(memory.offload.bytes)}, ${verdict(memory.offload.fits)}`,
    `  this machine: ${bytesText(memory.total)}, of which ${bytesText(memory.available)} are available`,
  ];
}

/** A number of operations as people write it: `285 TFLOP`. */
export function flopsText(flops: number): string {
  const units = ['FLOP', 'kFLOP', 'MFLOP', 'GFLOP', 'TFLOP', 'PFLOP'];
  let value = flops;
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000;
  return `${value.toPrecision(3)} ${units[unit]}`;
}
