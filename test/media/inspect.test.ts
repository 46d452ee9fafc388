import { inspectCommand } from '../../src/cli/commands/inspect';
import { formatReceipt } from '../../src/media/format-receipt';
import { writeMedia } from '../../src/media/write';
import { scratchFolder, testImage } from './pictures';

const scratch = scratchFolder();

const receipt = {
  prompt: 'red heart',
  model: { id: 'fluent-emoji', vae: null, size: [64, 64] },
  decisions: '##.#..',
  cached: true,
};

async function printed(...argv: string[]): Promise<string> {
  const lines: string[] = [];
  const spy = jest.spyOn(console, 'log').mockImplementation(line => void lines.push(String(line)));
  await inspectCommand()
    .parseAsync(argv, { from: 'user' })
    .finally(() => spy.mockRestore());
  return lines.join('\n');
}

test('a receipt is printed aligned, deeper keys indented', async () => {
  await writeMedia(scratch.path('x.png'), testImage(8, 8), { receipt });
  expect(await printed(scratch.path('x.png'))).toBe(
    [
      'prompt     red heart',
      'model',
      '  id       fluent-emoji',
      '  vae      none',
      '  size     64, 64',
      'decisions  ##.#..',
      'cached     true',
    ].join('\n'),
  );
  expect(JSON.parse(await printed('--json', scratch.path('x.png')))).toEqual(receipt);
});

test('a picture without a receipt is a sentence', async () => {
  await writeMedia(scratch.path('x.png'), testImage(8, 8));
  await expect(printed(scratch.path('x.png'))).rejects.toThrow('x.png carries no receipt.');
});

test('lists of records are numbered, and control characters stay harmless', () => {
  expect(formatReceipt({ steps: [{ sigma: 1 }, { sigma: 0.5 }], prompt: 'a\nb\u001b[2J\u009b' })).toBe(
    ['steps', '  0', '    sigma  1', '  1', '    sigma  0.5', 'prompt     a\\nb\\u001b[2J\\u009b'].join('\n'),
  );
  expect(formatReceipt('text')).toBe('text');
});
