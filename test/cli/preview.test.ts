import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { previewOf } from '../../src/cli/sample/preview';
import { pictureProtocol, pictureSequence } from '../../src/cli/terminal-picture';
import { InterruptedError } from '../../src/errors';
import { disk } from '../../src/io/fs';
import { readMedia } from '../../src/media/read';
import { scratchFolder, testImage } from '../media/pictures';
import { command } from '../weights/command';

const scratch = scratchFolder();

test('the file ends as the picture itself', async () => {
  const [preview, out] = [scratch.path('preview.png'), scratch.path('heart.png')];
  const args = ['--steps', '3', '--policy', 'none', '--preview', preview, '--out', out];
  expect(await command('--backend', 'wasm', 'sample', 'red heart', ...args)).toMatchObject({ code: 0 });
  expect((await readMedia(preview)).pixels.data).toEqual((await readMedia(out)).pixels.data);
  expect((await readFile(preview)).length).toBeGreaterThan(0);
});

describe('a preview that cannot be written', () => {
  afterEach(() => jest.restoreAllMocks());

  test('is told of once, and costs neither the run nor its picture', async () => {
    const [preview, out] = [scratch.path('preview.png'), scratch.path('heart.png')];
    const { rename } = disk;
    jest.spyOn(disk, 'rename').mockImplementation(async (from, to) => {
      if (to === preview) throw Object.assign(new Error('no space'), { code: 'ENOSPC', syscall: 'rename' });
      return rename(from, to);
    });
    const args = ['--steps', '4', '--policy', 'none', '--preview', preview, '--out', out];
    const done = await command('--backend', 'wasm', 'sample', 'red heart', ...args);
    expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('4 of 4 forwards') });
    expect(done.stderr.match(/The preview could not be written, and the run goes on: .*preview\.png/g)).toHaveLength(1);
    expect([existsSync(preview), existsSync(out)]).toEqual([false, true]);
  });

  test('is tried again at the next step, and lets what is no error of writing through', async () => {
    jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    const path = scratch.path('grows.png');
    const preview = previewOf(path, 4, undefined);
    mkdirSync(path);
    await preview.show(testImage(4, 4), 0, 0);
    rmSync(path, { recursive: true });
    await preview.show(testImage(4, 4), 1, 0);
    expect((await readMedia(path)).pixels.shape).toEqual([4, 4, 3]);
    jest.spyOn(disk, 'rename').mockRejectedValue(new InterruptedError());
    await expect(preview.show(testImage(4, 4), 2, 0)).rejects.toThrow(InterruptedError);
  });
});

test('a name that cannot be written is refused before anything is loaded', async () => {
  const done = await command('--backend', 'wasm', 'sample', 'red heart', '--preview', scratch.path('preview.txt'));
  expect(done).toMatchObject({ code: 2, stderr: expect.stringContaining('ends with .txt, which is not written') });
});

test.each([
  [{ TERM: 'xterm-kitty' }, 'kitty'],
  [{ TERM: 'xterm-256color', KITTY_WINDOW_ID: '1' }, 'kitty'],
  [{ TERM: 'xterm-ghostty', TERM_PROGRAM: 'ghostty' }, 'kitty'],
  [{ TERM: 'xterm-256color', TERM_PROGRAM: 'iTerm.app' }, 'iterm2'],
  [{ TERM: 'xterm-256color', LC_TERMINAL: 'iTerm2' }, 'iterm2'],
  [{ TERM: 'xterm-256color', TERM_PROGRAM: 'WezTerm' }, 'iterm2'],
  [{ TERM: 'xterm-256color' }, undefined],
  [{ TERM: 'tmux-256color', KITTY_WINDOW_ID: '1' }, undefined],
  [{ TERM: 'xterm-kitty', TMUX: 'socket,1,0' }, undefined],
  [{}, undefined],
])('%j shows pictures as %s', (env, protocol) => {
  expect(pictureProtocol(env, true)).toBe(protocol);
  expect(pictureProtocol(env, false)).toBeUndefined();
});

test('a picture goes over in pieces that both protocols take', () => {
  const png = Uint8Array.from({ length: 5000 }, (_, i) => i % 251);
  const base64 = Buffer.from(png).toString('base64');
  const pieces = pictureSequence('kitty', png)
    .split('\x1b\\')
    .filter(piece => piece !== '')
    .map(piece => piece.replace('\x1b_G', '').split(';'));
  expect(pieces.map(([head]) => head?.slice(-3))).toEqual(['m=1', 'm=0']);
  expect(pieces[0]?.[0]).toMatch(/^a=T,f=100,/);
  expect(pieces.map(([, piece]) => piece).join('')).toBe(base64);
  const inline = pictureSequence('iterm2', png);
  expect(inline.startsWith('\x1b]1337;File=inline=1;size=5000;')).toBe(true);
  expect(inline.slice(inline.indexOf(':') + 1, -1)).toBe(base64);
});
