/*
 * Schedules as text: `#` where the model runs, `.` where its answer is rebuilt.
 */

/** Steps at which the model runs. */
export const passesOf = (schedule: string): number => [...schedule].filter(mark => mark === '#').length;

/** Every step computed. */
export const fullSchedule = (steps: number): string => '#'.repeat(steps);

/** So many computed steps, evenly spread from the first: as the method `uniform` does. */
export function evenSchedule(steps: number, passes: number): string {
  const computed = new Set(Array.from({ length: passes }, (_, i) => Math.floor((i * steps) / passes)));
  return Array.from({ length: steps }, (_, i) => (computed.has(i) ? '#' : '.')).join('');
}

/** The schedule with one step turned over. The first step stays computed: there is nothing to reuse yet. */
export function toggled(schedule: string, step: number): string {
  if (step === 0) return schedule;
  return schedule.slice(0, step) + (schedule[step] === '#' ? '.' : '#') + schedule.slice(step + 1);
}

/** A schedule in words. */
export function scheduleLabel(schedule: string): string {
  const reused = schedule.length - passesOf(schedule);
  if (reused === 0) return `all ${schedule.length} steps computed`;
  return `${passesOf(schedule)} of ${schedule.length} steps computed, ${reused} reused; reused are ${reusedRanges(schedule)}`;
}

function reusedRanges(schedule: string): string {
  const ranges = [...schedule.matchAll(/\.+/g)].map(({ index, 0: { length } }) =>
    length === 1 ? `${index + 1}` : `${index + 1} to ${index + length}`,
  );
  return ranges.join(', ');
}
