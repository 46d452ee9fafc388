import type { ComponentChildren } from 'preact';
import type { Order } from '../engine/types';
import { type Drawing, retry } from '../state/painter';
import { passesOf } from '../state/schedules';
import { Failure } from './failure';
import { passes, seconds } from './format';
import { Picture } from './picture';
import { Strip } from './strip';

interface EaselProps {
  readonly title: ComponentChildren;
  readonly name: string;
  readonly order: Order;
  readonly drawing: Drawing & { readonly stale: boolean };
  /** The schedule that is foretold, until the run has said its own. */
  readonly planned: string;
  readonly tone: 'plain' | 'strong';
  /** What else can be done with it. */
  readonly children?: ComponentChildren;
}

/** A picture on its way, over the strip of its steps. */
export function Easel({ title, name, order, drawing, planned, tone, children }: EaselProps) {
  const { state, schedule, media, stale, error, result } = drawing;
  const taken = state === 'done' ? planned.length : schedule.length;
  const whole = schedule + planned.slice(schedule.length);
  return (
    <figure class={`easel ${tone}`} data-state={state}>
      <figcaption>
        <span class="title">{title}</span>
        {children}
      </figcaption>
      {state === 'failed' ? (
        <Failure text={error ?? ''} onRetry={() => retry(order)} />
      ) : (
        <Picture
          media={media}
          fps={result?.fps}
          stale={stale}
          busy={state !== 'done'}
          label={`${order.prompt || 'no prompt'}, ${name}`}
        />
      )}
      <Strip schedule={whole} taken={taken} tone={tone} name={name} />
      <p class="facts">
        <span>
          <b>{drawing.seconds === undefined ? '–' : seconds(drawing.seconds)}</b>
        </span>{' '}
        <span>
          {state === 'done' ? (
            <>
              <b>{passes(drawing.forwards ?? 0)}</b> forward passes
            </>
          ) : (
            <>
              <b>{passesOf(schedule)}</b> of {passesOf(whole)} passes
            </>
          )}
        </span>
      </p>
    </figure>
  );
}
