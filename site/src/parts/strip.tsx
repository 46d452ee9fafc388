import { scheduleLabel } from '../state/schedules';

interface StripProps {
  /** `#` computed, `.` reused, one character a step. */
  readonly schedule: string;
  /** Steps that have been taken; all unless given. */
  readonly taken?: number | undefined;
  readonly tone: 'plain' | 'strong';
  readonly name: string;
}

/** The steps of a run from noise to picture: filled where the model ran, hollow where its answer was rebuilt. */
export function Strip({ schedule, taken = schedule.length, tone, name }: StripProps) {
  return (
    <div class={`strip ${tone}`} role="img" aria-label={`${name}: ${scheduleLabel(schedule)}`}>
      {[...schedule].map((mark, step) => (
        <i key={step} class={`${mark === '#' ? 'computed' : 'reused'}${step < taken ? ' taken' : ''}`} />
      ))}
    </div>
  );
}
