import { mkdirSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { metricsCommand } from '../../src/cli/commands/metrics';
import { type Image, image } from '../../src/media/pixels';
import { writeMedia } from '../../src/media/write';
import { scratchFolder, testClip, testImage } from '../media/pictures';
import { usableBackends } from '../support/backends';

const scratch = scratchFolder();
const weights = resolve(__dirname, '../fixtures/metrics/lpips_alex_64x64/weights.safetensors');

/** What the command prints. */
async function printed(...argv: string[]): Promise<string> {
  const lines: string[] = [];
  const spies = [
    jest.spyOn(console, 'log').mockImplementation(line => void lines.push(String(line))),
    jest.spyOn(process.stderr, 'write').mockImplementation(text => lines.push(String(text).trim()) > 0),
  ];
  const root = new Command().option('--backend <name>', '', usableBackends()[0]).addCommand(metricsCommand());
  await root.parseAsync(['metrics', ...argv], { from: 'user' }).finally(() => {
    for (const spy of spies) spy.mockRestore();
  });
  return lines.join('\n');
}

/** `original` a little darker. */
function darker(original: Image, by: number): Image {
  return image(
    original.data.map(value => value * (1 - by)),
    original.shape[0]!,
    original.shape[1]!,
  );
}

test('two pictures: three columns, and LPIPS without weights says so', async () => {
  await writeMedia(scratch.path('a.png'), testImage(32, 32));
  await writeMedia(scratch.path('b.png'), darker(testImage(32, 32), 0.1));
  const text = await printed(scratch.path('a.png'), scratch.path('b.png'));
  expect(text.split('\n')[0]).toMatch(/^\s+PSNR dB\s+SSIM\s+LPIPS$/);
  expect(text.split('\n')[1]).toMatch(/^a\.png\s+\d\d\.\d\d\s+0\.\d{4}\s+no weights$/);
});

test('folders: matched by name, with mean, interval and worst, and what has no partner is named', async () => {
  for (const [i, name] of ['p2.png', 'p10.png', 'only-a.png'].entries()) {
    await writeMedia(scratch.path('a', name), testImage(16, 20, i));
    if (i < 2) await writeMedia(scratch.path('b', name), darker(testImage(16, 20, i), 0.1 * (i + 1)));
  }
  const text = await printed(scratch.path('a'), scratch.path('b'));
  expect(text).toContain(`${scratch.path('a', 'only-a.png')} has no partner.`);
  const names = text.split('\n').map(line => line.split(/\s{2,}/)[0]);
  expect(names.slice(2, 7)).toEqual(['p2.png', 'p10.png', 'mean of 2', '± at 95 %', 'worst']);

  const json = JSON.parse((await printed('--json', scratch.path('a'), scratch.path('b'))).replace(/^[^{]*/, ''));
  expect(json.protocol).toEqual({ ssim: 'teacache', lpips: 'no weights' });
  expect(json.mean.psnr.mean).toBeCloseTo((json.rows[0].psnr + json.rows[1].psnr) / 2, 12);
  expect(json.rows[0].lpips).toBeUndefined();
});

test('clips in any form that can be read: WebP beside a folder of frames', async () => {
  const moving = testClip(4, 16, 16);
  await writeMedia(scratch.path('a.webp'), moving, { quality: 100 });
  await writeMedia(scratch.path('frames/'), moving);
  const text = await printed('--ssim', 'torchmetrics', scratch.path('a.webp'), scratch.path('frames'));
  expect(text).toMatch(/a\.webp\s+100\.00\s+1\.0000/);
  expect(text).toContain('per frame, then the mean; pixels in [0, 1]; SSIM as in torchmetrics');
});

test('with weights, LPIPS is computed, in either form', async () => {
  await writeMedia(scratch.path('a.png'), testImage(40, 40));
  await writeMedia(scratch.path('b.png'), darker(testImage(40, 40), 0.2));
  const files = [scratch.path('a.png'), scratch.path('b.png')];
  const values = [];
  for (const form of ['standard', 'spatial']) {
    const text = await printed('--json', '--lpips', weights, '--lpips-form', form, ...files);
    values.push(JSON.parse(text.slice(text.indexOf('{'))).rows[0].lpips);
  }
  expect(values[0]).toBeGreaterThan(0);
  expect(values[1]).toBeGreaterThan(0);
  expect(values[0]).not.toBe(values[1]);
});

test('sizes that differ, and folders that share nothing, are one sentence', async () => {
  await writeMedia(scratch.path('a.png'), testImage(16, 20));
  await writeMedia(scratch.path('b.png'), testImage(20, 16));
  await expect(printed(scratch.path('a.png'), scratch.path('b.png'))).rejects.toThrow(
    'a.png: Cannot compare a picture of 20×16 with a picture of 16×20.',
  );
  mkdirSync(scratch.path('empty'));
  writeFileSync(scratch.path('empty', 'notes.txt'), '');
  await expect(printed(scratch.path(), scratch.path('empty'))).rejects.toThrow('have no picture of the same name');
  await expect(printed(scratch.path('no.png'), scratch.path('a.png'))).rejects.toThrow('There is no file');
});
