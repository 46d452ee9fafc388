import type { StepRecord } from './sample-loop';

/** The decisions of a run as text. A step counts as computed when any branch computed it. */
export function scheduleText(steps: readonly Pick<StepRecord, 'decisions'>[]): string {
  return steps.map(s => (s.decisions.includes('compute') ? '#' : '.')).join('');
}
