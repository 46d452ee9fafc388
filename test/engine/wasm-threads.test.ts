import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { selectBackend } from '../../src/engine/select';
import { command } from '../weights/command';

interface Answer {
  label: string;
  product: number[];
  digits: Record<string, string>;
  idle: number;
  fewer: number;
  again: string;
}

// A process has one WebAssembly module, so each number of threads gets a process of its own.
function withThreads(count: number): Answer {
  const script = join(__dirname, 'threads-child.ts');
  const runner = join(__dirname, '../../bench/run.cjs');
  const { stdout, stderr, status, signal } = spawnSync(process.execPath, [runner, script, `${count}`], {
    encoding: 'utf8',
    timeout: 50_000,
  });
  // Threads that wait must not keep the process alive.
  expect({ stderr, status, signal }).toEqual({ stderr: '', status: 0, signal: null });
  return JSON.parse(stdout);
}

test('several threads compute what one does, to the last digit, and let the process end', () => {
  const [one, three] = [withThreads(1), withThreads(3)];
  // The label names FMA where Node has it.
  expect(one.label).toMatch(/^wasm \(WebAssembly with SIMD(?: and FMA)?, 1 thread\)$/);
  expect(three.label).toBe(one.label.replace('1 thread', '3 threads'));
  expect(three.product).toEqual(Array(96).fill(96));
  expect(one.digits.plain).toMatch(/^[0-9a-f]{64}$/);
  expect(three.digits).toEqual(one.digits);
  expect(three.idle).toBe(0);
  expect([one.fewer, three.fewer]).toEqual([1, 2]);
  expect(three.again).toContain('not 4');
});

test('more threads than there can be are refused', async () => {
  await expect(selectBackend('wasm', { threads: 99 })).rejects.toMatchObject({
    message: expect.stringContaining('8 threads at most; 99 were asked for.'),
    hint: 'Ask for at most 8 threads, or leave the number out.',
  });
  await expect(selectBackend('cpu', { threads: 2 })).rejects.toThrow('one thread');
  const none = await command('--threads', '0', 'doctor');
  expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('from 1 to 1024') });
});
