import type { Progress } from 'ertacache/browser';
import { duration } from './format';
import { StopIcon } from './icons';

interface JobProgressProps {
  readonly name: string;
  readonly progress: Progress | undefined;
  readonly onStop: () => void;
}

/** How far a long job has come, how long it will take, and a way to stop it. */
export function JobProgress({ name, progress, onStop }: JobProgressProps) {
  const { done = 0, total = 0, secondsLeft, note = 'loading the model' } = progress ?? {};
  return (
    <div class="job">
      <div>
        <p>
          <b>{note}</b>
          <span>
            {total > 0 && `${Math.round(done)} of ${Math.round(total)} forward passes at most`}
            {secondsLeft !== undefined && `, ${duration(secondsLeft)} left`}
          </span>
        </p>
        <progress aria-label={name} value={total > 0 ? done / total : undefined} max={1} />
      </div>
      <button type="button" onClick={onStop}>
        <StopIcon /> Stop
      </button>
    </div>
  );
}
