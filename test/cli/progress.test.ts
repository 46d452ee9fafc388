import { interruptible } from '../../src/cli/interrupt';
import { progressLine, stepLine } from '../../src/cli/progress';
import { writeMedia } from '../../src/media/write';
import { scratchFolder, testImage } from '../media/pictures';
import { command } from '../weights/command';

const scratch = scratchFolder();

let written: string[];
const terminal = (is: boolean, columns?: number): void => {
  Object.defineProperty(process.stderr, 'isTTY', { value: is, configurable: true });
  Object.defineProperty(process.stderr, 'columns', { value: columns, configurable: true });
};
const { isTTY: wasTerminal, columns: hadColumns } = process.stderr;
/** Columns of a text, where Japanese takes two each. */
const width = (text: string): number => [...text].reduce((sum, sign) => sum + (sign > '\u3000' ? 2 : 1), 0);

beforeEach(() => {
  written = [];
  jest.spyOn(process.stderr, 'write').mockImplementation(text => written.push(String(text)) > 0);
});
afterEach(() => {
  jest.restoreAllMocks();
  terminal(wasTerminal, hadColumns);
});

describe('the line of a sampling run', () => {
  const shown = (): string[] => written.map(text => text.replace('\r\x1b[K', ''));
  /** Draws steps of a run: `#` in two seconds, `.` in none. */
  const drawSteps = ({ step }: ReturnType<typeof stepLine>, strip: string, steps = strip.length): void => {
    for (const [index, sign] of [...strip].entries()) {
      step({ index, steps, decisions: [sign === '#' ? 'compute' : 'reuse'], seconds: sign === '#' ? 2 : 0 });
    }
  };

  test('draws every step as what it was, with the time that is left, and goes away', () => {
    terminal(true, 80);
    const line = stepLine('red heart');
    drawSteps(line, '#.#', 4);
    line.stop();
    expect(shown()).toEqual([
      'red heart [#   ] 1/4 6 s left',
      'red heart [#.  ] 2/4 2 s left',
      'red heart [#.# ] 3/4 1 s left',
      '',
    ]);
  });

  test('begins anew where the run does', () => {
    terminal(true, 80);
    const line = stepLine('red heart');
    drawSteps(line, '#..#');
    written = [];
    drawSteps(line, '##', 4);
    expect(shown()).toEqual(['red heart [#   ] 1/4 6 s left', 'red heart [##  ] 2/4 4 s left']);
  });

  test.each([
    [80, 79],
    // A terminal that does not say how wide it is.
    [undefined, 79],
    [0, 79],
    [40, 39],
    [24, 23],
    [10, 9],
  ])('takes one row of a terminal of %s columns, with the newest steps and the numbers', (columns, most) => {
    terminal(true, columns);
    const strip = `${'#.'.repeat(48)}###`;
    for (const label of [
      'a red fox in deep snow looks at the moon above',
      '雪の中の赤い狐が月を見上げている静かな夜の森の絵本',
      'a',
    ]) {
      written = [];
      drawSteps(stepLine(label), strip, 100);
      expect(Math.max(...shown().map(width))).toBeLessThanOrEqual(most);
      const last = shown().at(-1) as string;
      if (most < 12) expect('99/100 1 s left'.startsWith(last)).toBe(true);
      else expect(last).toContain('###] 99/100 1 s left');
    }
  });

  test('is not drawn where there is no terminal, so that logs stay clean', () => {
    terminal(false);
    const line = stepLine('red heart');
    drawSteps(line, '##');
    line.stop();
    const bar = progressLine('calibrating', 10);
    bar.update(5);
    bar.stop();
    expect(written).toEqual([]);
  });
});

test('a picture that begins with another is told of by the steps that are run', async () => {
  const [photo, out] = [scratch.path('photo.png'), scratch.path('out.png')];
  await writeMedia(photo, testImage(48, 48));
  terminal(true, 80);
  const args = ['--init', photo, '--strength', '0.5', '--steps', '4', '--policy', 'none', '--out', out];
  const { code, stderr } = await command('--backend', 'wasm', 'sample', 'red heart', ...args);
  expect(code).toBe(0);
  expect(stderr).toMatch(/red heart \[##\] 2\/2 0 s left/);
  expect(stderr).not.toContain('/4');
});

describe('Ctrl-C', () => {
  test('first asks the work to stop, and again ends the process', async () => {
    const exit = jest.spyOn(process, 'exit').mockImplementation(() => undefined as never);
    const aborted = await interruptible(async signal => {
      process.emit('SIGINT');
      const first = signal.aborted;
      expect(exit).not.toHaveBeenCalled();
      process.emit('SIGINT');
      return first;
    });
    expect(aborted).toBe(true);
    expect(exit).toHaveBeenCalledWith(130);
    expect(written.join('')).toContain('press Ctrl-C again to stop at once');
  });

  test('is left to others when the work is done, or has failed', async () => {
    await interruptible(async () => 1);
    await expect(interruptible(() => Promise.reject(new Error('on purpose')))).rejects.toThrow('on purpose');
    expect([process.listenerCount('SIGINT'), process.listenerCount('SIGTERM')]).toEqual([0, 0]);
  });
});
