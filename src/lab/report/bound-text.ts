import { atLeast, USUAL_CONFIDENCE } from '../../cache/bound';
import type { PolicyBound } from '../../policy/bound';

const percent = (share: number): string => `${Number((100 * share).toFixed(1))} %`;

/** What a policy's pictures keep at least, in lines. */
export function boundLines({ all, each, pairs }: PolicyBound): string[] {
  const common = all.map(({ confidence, dB }) => `${dB.toFixed(1)} dB with ${percent(confidence)}`).join(', ');
  const margin = each && atLeast(each.margins, USUAL_CONFIDENCE);
  return [
    `≥ ${common} confidence, by ${pairs} pairs`,
    ...(margin
      ? [`each picture: its estimate less ${margin.dB.toFixed(1)} dB with ${percent(margin.confidence)}`]
      : []),
  ];
}
