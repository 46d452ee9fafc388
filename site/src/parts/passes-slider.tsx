import { useId } from 'preact/hooks';

interface PassesSliderProps {
  readonly steps: number;
  readonly passes: number;
  /** Numbers of passes for which there is a calibrated policy. */
  readonly calibrated: readonly number[];
  readonly onChange: (passes: number) => void;
}

/** The fewest passes that the slider goes to: with one nothing is left of the picture. */
export const FEWEST = 2;

/** Forward passes, from all on the left to few on the right. The marks are those that are calibrated. */
export function PassesSlider({ steps, passes, calibrated, onChange }: PassesSliderProps) {
  const id = useId();
  const span = steps - FEWEST;
  const place = (at: number): string => `${(100 * (steps - at)) / span}%`;
  const kind = passes === steps ? 'uncached' : calibrated.includes(passes) ? 'calibrated' : 'not calibrated';
  const stops = [steps, ...new Set(calibrated.filter(at => at < steps && at >= FEWEST))];
  return (
    <div class="passes">
      <div class="passes-head">
        <label for={id}>Forward passes</label>
        <output for={id}>
          <b>{passes}</b> of {steps} <small>{kind}</small>
        </output>
      </div>
      <div class="passes-track">
        <input
          id={id}
          type="range"
          min={0}
          max={span}
          value={steps - passes}
          aria-valuetext={`${passes} of ${steps} forward passes, ${kind}`}
          style={{ '--at': place(passes) }}
          onInput={event => onChange(steps - event.currentTarget.valueAsNumber)}
        />
      </div>
      <div class="passes-stops">
        {stops.map(at => (
          <button
            key={at}
            type="button"
            class={at === passes ? 'current' : ''}
            style={{ left: place(at) }}
            aria-label={at === steps ? `all ${steps} forward passes` : `${at} forward passes, calibrated`}
            aria-pressed={at === passes}
            onClick={() => onChange(at)}
          >
            {at === steps ? 'all' : at}
          </button>
        ))}
      </div>
    </div>
  );
}
