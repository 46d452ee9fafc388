import { SingleBar } from 'cli-progress';
import type { StepRecord } from '../sampling/step-record';
import { shortened } from '../text/visible';
import { tell } from './say';

/** Characters of a label: with what follows it, it has to fit on one line. */
const LABEL = 40;

/** Puts the cursor at the beginning of an empty line. */
const CLEAR = '\r\x1b[K';

/** Says something while a line of progress stands: that is cleared, and its next change draws it below. */
export function tellAbove(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(CLEAR);
  tell(text);
}

export interface Progress {
  update(done: number, note?: string): void;
  stop(): void;
}

/**
 * A progress line on stderr with the time left; on a terminal only, so that logs stay clean.
 * @param label what is being done
 * @param total how much there is to do, in any unit
 */
export function progressLine(label: string, total: number): Progress {
  if (!process.stderr.isTTY) return { update() {}, stop() {} };
  const bar = new SingleBar({
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
    format: `${shortened(label, LABEL)} {bar} {percentage}% | {eta_formatted} left {note}`,
    barsize: 24,
    // One redraw for every change: the event loop is busy with tensors in between, so timers do not fire.
    noTTYOutput: false,
    synchronousUpdate: true,
    fps: 50,
  });
  bar.start(total, 0, { note: '' });
  return {
    update: (done, note = '') => bar.update(Math.min(done, total), { note }),
    stop: () => bar.stop(),
  };
}

/** Columns of a terminal that does not say how many it has. */
const COLUMNS = 80;

/**
 * The progress of a sampling run: every step drawn as what it was, `#` computed, `.` reused, with the time left. A run
 * that begins anew begins a new strip. The line is cut to one row of the terminal, of which alone it can be cleared.
 */
export function stepLine(label: string): { step(record: TakenStep): void; stop(): void } {
  const terminal = process.stderr.isTTY;
  const shown = shortened(label, LABEL);
  let drawn = '';
  let spent = 0;
  return {
    step({ index, steps, decisions, seconds }) {
      if (index === 0) {
        drawn = '';
        spent = 0;
      }
      drawn += decisions.includes('compute') ? '#' : '.';
      spent += seconds;
      if (!terminal) return;
      const left = Math.max(0, (spent / drawn.length) * (steps - drawn.length)).toFixed(0);
      process.stderr.write(CLEAR + stripLine(shown, drawn, steps, `${drawn.length}/${steps} ${left} s left`));
    },
    stop() {
      if (terminal && drawn) process.stderr.write(CLEAR);
    },
  };
}

/** What of a step its line shows. */
type TakenStep = Pick<StepRecord, 'index' | 'steps' | 'decisions' | 'seconds'>;

/** Label, strip and numbers on one row; the numbers have room first, then the newest of the strip. */
function stripLine(label: string, drawn: string, steps: number, numbers: string): string {
  // A character in the last column makes some terminals go on in the next row.
  const columns = (process.stderr.columns || COLUMNS) - 1;
  const room = columns - numbers.length - ' [] '.length;
  if (room < 1) return numbers.slice(0, columns);
  const name = cut(label, Math.max(room - steps, Math.floor(room / 3)));
  const most = room - columnsOf(name);
  const strip = drawn.slice(-most).padEnd(Math.min(most, steps), ' ');
  return `${name} [${strip}] ${numbers}`;
}

/** The beginning of a text that has so many columns at most. */
function cut(text: string, most: number): string {
  if (columnsOf(text) <= most) return text;
  let beginning = '';
  for (const character of text) {
    if (columnsOf(`${beginning}${character}…`) > most) break;
    beginning += character;
  }
  return most > 0 ? `${beginning}…` : '';
}

/** How many columns a text takes at most: letters beyond the alphabets, and pictures, may take two. */
const columnsOf = (text: string): number =>
  Array.from(text).reduce((sum, character) => sum + (/[\u1100-\u1fff\u2100-\u{10ffff}]/u.test(character) ? 2 : 1), 0);
