import { SingleBar } from 'cli-progress';
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

/**
 * The progress of one sampling run: every step drawn as what it was, `#` computed, `.` reused, with the time left.
 */
export function stepLine(label: string, total: number): Progress & { step(computed: boolean, seconds: number): void } {
  const terminal = process.stderr.isTTY;
  const shown = shortened(label, LABEL);
  let drawn = '';
  let spent = 0;
  const draw = (): void => {
    const left = ((spent / drawn.length) * (total - drawn.length)).toFixed(0);
    const strip = drawn.padEnd(total, ' ');
    process.stderr.write(`\r\x1b[K${shown} [${strip}] ${drawn.length}/${total} ${left} s left`);
  };
  return {
    step(computed, seconds) {
      drawn += computed ? '#' : '.';
      spent += seconds;
      if (terminal) draw();
    },
    update() {},
    stop() {
      if (terminal && drawn) process.stderr.write('\r\x1b[K');
    },
  };
}
