import { useRef } from 'preact/hooks';
import { toggled } from '../state/schedules';

interface StripEditorProps {
  readonly schedule: string;
  readonly onChange: (schedule: string) => void;
}

type Point = readonly [x: number, y: number];

/** Pixels from one look to the next: less than a step is wide on a phone. */
const STRIDE = 4;

const pointOf = ({ clientX, clientY }: PointerEvent): Point => [clientX, clientY];

/** The points of the way, without its beginning. */
function between([fromX, fromY]: Point, [toX, toY]: Point): readonly Point[] {
  const count = Math.max(1, Math.ceil(Math.hypot(toX - fromX, toY - fromY) / STRIDE));
  return Array.from({ length: count }, (_, i): Point => {
    const share = (i + 1) / count;
    return [fromX + share * (toX - fromX), fromY + share * (toY - fromY)];
  });
}

/**
 * A strip whose steps are turned over by a click, by dragging across them, or with the keyboard: arrows move, space turns
 * over. One stop of the tab key for the whole strip.
 */
export function StripEditor({ schedule, onChange }: StripEditorProps) {
  const box = useRef<HTMLFieldSetElement>(null);
  // What a drag paints, and where it was last; the state of the moment, not of a rendering.
  const paint = useRef<{ mark: string; schedule: string; at: Point } | undefined>(undefined);
  const focused = useRef(1);

  const cellAt = ([x, y]: Point): number => {
    const step = document.elementFromPoint(x, y)?.closest<HTMLElement>('[data-step]')?.dataset.step;
    return step === undefined ? -1 : Number(step);
  };
  const put = (step: number): void => {
    const now = paint.current;
    if (!now || step < 1 || now.schedule[step] === now.mark) return;
    now.schedule = toggled(now.schedule, step);
    onChange(now.schedule);
  };
  // A browser reports a pointer once a frame: a quick drag jumps over steps, so the whole way is looked at.
  const dragTo = (to: Point): void => {
    const now = paint.current;
    if (!now) return;
    for (const point of between(now.at, to)) put(cellAt(point));
    now.at = to;
  };
  const move = (to: number): void => {
    const step = Math.max(1, Math.min(schedule.length - 1, to));
    focused.current = step;
    for (const cell of box.current?.querySelectorAll<HTMLElement>('[data-step]') ?? []) {
      const own = Number(cell.dataset.step) === step;
      cell.tabIndex = own ? 0 : -1;
      if (own) cell.focus();
    }
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const at = Number((event.target as HTMLElement).dataset.step);
    const steps: Readonly<Record<string, number>> = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      ArrowDown: at + 10,
      ArrowUp: at - 10,
      Home: 1,
      End: schedule.length - 1,
    };
    const to = steps[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(to);
  };

  return (
    <fieldset
      ref={box}
      class="strip-editor"
      onKeyDown={onKeyDown}
      onPointerDown={event => {
        const at = pointOf(event);
        const step = cellAt(at);
        if (step < 1 || event.button !== 0) return;
        paint.current = { mark: schedule[step] === '#' ? '.' : '#', schedule, at };
        put(step);
      }}
      onPointerMove={event => dragTo(pointOf(event))}
      onPointerUp={event => {
        dragTo(pointOf(event));
        paint.current = undefined;
      }}
      onPointerCancel={() => {
        paint.current = undefined;
      }}
      onPointerLeave={() => {
        paint.current = undefined;
      }}
    >
      <legend class="hidden">Steps of your schedule: space turns a step over, arrows move</legend>
      {[...schedule].map((mark, step) => (
        <button
          key={step}
          type="button"
          data-step={step}
          class={mark === '#' ? 'computed' : 'reused'}
          tabIndex={step === focused.current ? 0 : -1}
          aria-pressed={mark === '#'}
          aria-disabled={step === 0}
          aria-label={`step ${step + 1}, ${mark === '#' ? 'computed' : 'reused'}${step === 0 ? ', always computed' : ''}`}
          onFocus={() => {
            focused.current = step;
          }}
          // A pointer has turned it over when it came down; what arrives without one is the keyboard or a screen reader.
          onClick={event => event.detail === 0 && onChange(toggled(schedule, step))}
        >
          <span>{step + 1}</span>
        </button>
      ))}
    </fieldset>
  );
}
