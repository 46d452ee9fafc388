import { writeFile } from 'node:fs/promises';
import { promptLines } from '../../src/cli/prompts';
import { lossNote } from '../../src/cli/sample/notes';
import { tasksOf } from '../../src/cli/sample/tasks';
import { middleLeftOut, shortened, visible } from '../../src/text/visible';
import { scratchFolder } from '../media/pictures';
import { command } from '../weights/command';

const scratch = scratchFolder();

async function given(content: string | Uint8Array): Promise<string> {
  const path = scratch.path('prompts.txt');
  await writeFile(path, content);
  return path;
}
const wide = (text: string, encoding: 'le' | 'be'): Uint8Array => {
  const bytes = Buffer.from(`\ufeff${text}`, 'utf16le');
  return encoding === 'le' ? bytes : bytes.swap16();
};

describe('a file of prompts', () => {
  test.each<[string, string | Uint8Array, string[]]>([
    ['UTF-8', 'red heart\r\n\n  ghost \n', ['red heart', 'ghost']],
    ['UTF-8 with its mark', '\ufeffred heart\n', ['red heart']],
    ['UTF-16 as PowerShell writes it', wide('red heart\r\ncafé\r\n', 'le'), ['red heart', 'café']],
    ['UTF-16, the other order', wide('red heart\n', 'be'), ['red heart']],
    ['line breaks of the old Macintosh', 'red heart\rghost\r', ['red heart', 'ghost']],
    [
      'comments, and prompts that begin with their sign',
      '# list\n\\#1 dad mug\n\\\\#x\nC# logo\n',
      ['#1 dad mug', '\\#x', 'C# logo'],
    ],
  ])('%s', async (_, content, prompts) => {
    expect(await promptLines(await given(content))).toEqual(prompts);
  });

  test.each<[string, string | Uint8Array, string]>([
    ['Latin-1', Buffer.from('red heart\ncaf\xe9\n', 'latin1'), 'prompts.txt, line 2: not UTF-8 text.'],
    ['UTF-16 without its mark', wide('ab\n', 'le').subarray(2), 'prompts.txt, line 1: holds a NUL character'],
    ['half a character of UTF-16', wide('ab', 'le').subarray(0, 5), 'begins as UTF-16LE, but not wholly so'],
    ['a prompt of 10 MB', `a\n${'b'.repeat(10_000_000)}`, 'line 2: has 10000000 characters'],
    ['100,000 prompts', 'red heart\n'.repeat(100_000), 'holds more than 10000 prompts'],
    ['comments alone', '#1 dad mug\n', 'holds no prompts'],
  ])('%s is refused', async (_, content, message) => {
    await expect(promptLines(await given(content))).rejects.toThrow(message);
  });

  test('a comment that may be meant as a prompt is named', async () => {
    const said = jest.spyOn(process.stderr, 'write').mockImplementation(() => true);
    await promptLines(await given('# a list\nred heart\n#1 dad mug\n'));
    const notes = said.mock.calls.map(([text]) => String(text));
    said.mockRestore();
    expect(notes).toEqual([expect.stringMatching(/prompts\.txt, line 3: left out as a comment; \\# begins a prompt/)]);
  });

  test('the command names the line, and its help says what # is', async () => {
    const path = await given(Buffer.from('caf\xe9\n', 'latin1'));
    const done = await command('--backend', 'wasm', 'sample', '--prompts-file', path, '--out-dir', scratch.path('out'));
    expect(done).toMatchObject({ code: 1, stderr: expect.stringContaining('line 1: not UTF-8') });
  });
});

describe('names and lines made of prompts', () => {
  test('many equal prompts have names of their own, within a moment', () => {
    const tasks = tasksOf(Array<string>(10_000).fill('red heart'), { seed: 0, numImages: 1 });
    expect(tasks[9_999]!.name).toBe('red-heart-10000-0');
    expect(new Set(tasks.map(task => task.name)).size).toBe(10_000);
  });

  test('more pictures than a command draws are refused before they are listed', () => {
    expect(() => tasksOf(['a'], { seed: 0, numImages: 1e9 })).toThrow('1000000000 pictures were asked for');
    expect(() => tasksOf(['a'.repeat(20_000)], { seed: 0, numImages: 1 })).toThrow('A prompt of 20000 characters');
  });

  test('nothing in a prompt reaches a file name but letters and digits, and no character is cut in two', () => {
    const [task] = tasksOf(['\x1b[31m../\0red\u202e'], { seed: 0, numImages: 1 });
    expect(task!.name).toBe('31m-red-0');
    const [wide] = tasksOf([`a${'\u{20000}'.repeat(80)}`], { seed: 0, numImages: 1 });
    expect(wide!.name).not.toMatch(/\p{Surrogate}/u);
    expect(Buffer.byteLength(wide!.name)).toBeLessThan(250);
  });

  test('what would steer a terminal is spelled', () => {
    expect(visible('a\x1b[31m\x07\u009b\u202eb\n\ud800')).toBe('a\\u001b[31m\\u0007\\u009b\\u202eb\\u000a\\ud800');
    expect(visible('a\nb\r', { multiline: true })).toBe('a\nb\\u000d');
    expect(shortened('👍🏽👍🏽 three', 4)).toBe('👍🏽👍…');
    expect(shortened('a\nb', 10)).toBe('a\\u000ab');
    expect(shortened('x'.repeat(1e7), 5)).toBe('xxxx…');
  });

  test('of a long text the beginning and the end are shown', () => {
    const shown = middleLeftOut(`first ${'word '.repeat(100)}last`, 30);
    expect(shown).toMatch(/^first word .*… .*last$/);
    expect(shown.length).toBeLessThan(40);
    expect(middleLeftOut('\u{20000}'.repeat(30), 15)).not.toMatch(/\\ud/);
  });

  test('what a prompt loses is said once, however many pictures of it are drawn', async () => {
    const place = ['--steps', '1', '--num-images', '2', '--out-dir', scratch.path('out')];
    const { code, stderr } = await command(
      '--backend',
      'wasm',
      'sample',
      `red zyxw ${'heart '.repeat(40)}lion`,
      ...place,
    );
    expect(code).toBe(0);
    expect(stderr.match(/does not know "zyxw"/g)).toHaveLength(1);
    expect(stderr.match(/fluent-emoji reads \d+ words of "red zyxw .*; cut off: ".*lion"\.\n/g)).toHaveLength(1);
  });

  test('a note on a loss names encoder, number and words', () => {
    const loss = { encoder: 'text_encoder', prompt: 'one\x1b two', unknown: [], dropped: 'two' } as const;
    expect(lossNote({ id: 'flux' }, { ...loss, limit: { count: 77, unit: 'tokens' } })).toBe(
      'text_encoder of flux reads 77 tokens of "one\\u001b two"; cut off: "two".\n',
    );
  });
});
