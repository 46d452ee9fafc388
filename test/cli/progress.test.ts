import { interruptible } from '../../src/cli/interrupt';
import { progressLine, stepLine } from '../../src/cli/progress';

let written: string[];
const terminal = (is: boolean): void => {
  Object.defineProperty(process.stderr, 'isTTY', { value: is, configurable: true });
};
const wasTerminal = process.stderr.isTTY;

beforeEach(() => {
  written = [];
  jest.spyOn(process.stderr, 'write').mockImplementation(text => written.push(String(text)) > 0);
});
afterEach(() => {
  jest.restoreAllMocks();
  terminal(wasTerminal);
});

describe('the line of a sampling run', () => {
  test('draws every step as what it was, with the time that is left, and goes away', () => {
    terminal(true);
    const line = stepLine('red heart', 4);
    line.step(true, 2);
    line.step(false, 0);
    line.step(true, 1);
    line.stop();
    expect(written.map(text => text.replace('\r\x1b[K', ''))).toEqual([
      'red heart [#   ] 1/4 6 s left',
      'red heart [#.  ] 2/4 2 s left',
      'red heart [#.# ] 3/4 1 s left',
      '',
    ]);
  });

  test('is not drawn where there is no terminal, so that logs stay clean', () => {
    terminal(false);
    const line = stepLine('red heart', 2);
    line.step(true, 1);
    line.stop();
    const bar = progressLine('calibrating', 10);
    bar.update(5);
    bar.stop();
    expect(written).toEqual([]);
  });
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
