import { PassThrough } from 'node:stream';
import { heedStreams } from '../../src/cli/streams';

const fault = (code: string): Error => Object.assign(new Error(code), { code });

function streams() {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const codeOf = heedStreams({ stdout, stderr });
  return { stdout, stderr, codeOf, told: () => String(stderr.read() ?? '') };
}

let before: typeof process.exitCode;
beforeEach(() => {
  before = process.exitCode;
});
afterEach(() => {
  process.exitCode = before;
});

test('notes that nobody reads, or that no disk takes, cost nothing', () => {
  const { stderr, codeOf, told } = streams();
  for (const code of ['EPIPE', 'ENOSPC', 'EIO']) stderr.emit('error', fault(code));
  expect([codeOf(0), codeOf(2), told()]).toEqual([0, 2, '']);
});

test('a reader of results that has seen enough is no fault', () => {
  const { stdout, codeOf, told } = streams();
  stdout.emit('error', fault('EPIPE'));
  expect([codeOf(0), told()]).toEqual([0, '']);
});

test('results that cannot be written are told once, and make the exit code', () => {
  const { stdout, codeOf, told } = streams();
  stdout.emit('error', fault('ENOSPC'));
  stdout.emit('error', fault('ENOSPC'));
  expect([codeOf(0), codeOf(2)]).toEqual([1, 2]);
  expect(told()).toBe('ertacache: The results could not be written to the standard output: the disk is full.\n');
});
