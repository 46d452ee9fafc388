import { existsSync } from 'node:fs';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Receipt } from '../../src/draw/receipt';
import { sha256 } from '../../src/io/sha256';
import { loadCase } from '../../src/lab/verify/load-case';
import { maxAbsError } from '../../src/lab/verify/verify';
import { dense, frames } from '../../src/media/pixels';
import { readMedia } from '../../src/media/read';
import { readReceipt } from '../../src/media/receipt';
import { writeMedia } from '../../src/media/write';
import { inspectMp4 } from '../media/mp4';
import { scratchFolder, testImage } from '../media/pictures';
import { command } from '../weights/command';

const fixture = (name: string): string => resolve(__dirname, '../fixtures/pipelines', name);
const tiny = (name: string): string => resolve(fixture(name), 'pipeline');
const scratch = scratchFolder();
const sample = (...args: string[]) => command('--backend', 'wasm', 'sample', ...args);
const files = async (): Promise<string[]> => (await readdir(scratch.path())).sort();
const pixelsOf = async (name: string) => [...dense((await readMedia(scratch.path(name))).pixels)];
const SENTENCES = /^ertacache: [^\n]+[^.\n]\.\n( {2}[^\n]+\n)?$/m;

/** Few small frames. */
const small = ['--steps', '4', '--policy', 'none', '--width', '32', '--height', '32'];

describe('the four published pipelines', () => {
  test.each([
    ['wan-tiny', 5, 16],
    ['cogvideox-tiny', 9, 8],
    ['opensora-tiny', 17, 24],
  ])('%s: a playable MP4 of %i frames at %i a second', async (name, count, fps) => {
    const out = scratch.path('a.mp4');
    const done = await sample('a fox', '--model', tiny(name), ...small, '--frames', String(count), '--out', out);
    expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('4 of 4 forwards') });
    const track = inspectMp4(await readFile(out));
    expect(track).toMatchObject({ codec: 'avc1', frames: count, width: 32, height: 32 });
    expect(track.frames / track.seconds).toBeCloseTo(fps, 6);
    expect(((await readReceipt(out)) as Receipt).size).toEqual({ width: 32, height: 32, frames: count });
  });

  test.each(['flux-tiny', 'wan-tiny', 'cogvideox-tiny', 'opensora-tiny'])(
    '%s: a size that memory cannot hold is refused before anything is loaded',
    async name => {
      const huge = ['--steps', '4', '--policy', 'none', '--width', '131072', '--height', '131072'];
      const done = await sample('a fox', '--model', tiny(name), ...huge, '--out', scratch.path('a.webp'));
      expect(done).toMatchObject({ code: 1, stderr: expect.stringMatching(SENTENCES) });
      expect(done.stderr).toMatch(/pipeline at 131072x131072.* needs [\d.]+ GB; WebAssembly can hold 3.5 GB/);
      expect(await files()).toEqual([]);
    },
  );

  test.each(['a.webp', 'a.gif', 'frames/'])('a clip as %s has all frames', async name => {
    const frame = ['--steps', '1', '--frames', '5', '--out', scratch.path(name)];
    expect(await sample('a fox', '--model', tiny('wan-tiny'), ...small, ...frame)).toMatchObject({ code: 0 });
    expect(frames((await readMedia(scratch.path(name))).pixels)).toHaveLength(5);
  });

  // The seeds of the cases' runs, and the pixels that PyTorch gave.
  test.each([
    ['flux-tiny', 1, 'image', ['--guidance', '3.5', '--max-sequence-length', '24']],
    ['wan-tiny', 3, 'video', ['--guidance', '1', '--max-sequence-length', '16', '--frames', '5']],
    ['cogvideox-tiny', 3, 'video', ['--guidance', '6', '--max-sequence-length', '20', '--frames', '17']],
    ['opensora-tiny', 2, 'video', ['--guidance', '7', '--frames', '1']],
  ])('%s: --policy none draws what the reference draws', async (name, number, output, args) => {
    const { inputs, expected, call } = await loadCase(fixture(name));
    const runs = (call as { runs: Record<string, unknown>[]; seed?: number }).runs;
    const index = runs.findIndex(run => run.file === `run${number}.safetensors`);
    const run = runs[index]!;
    const { seed } = JSON.parse(await readFile(resolve(fixture(name), 'case.json'), 'utf8')) as { seed: number };
    const sizes = ['--steps', run.num_inference_steps, '--width', run.width, '--height', run.height].map(String);
    const own = ['--policy', 'none', '--seed', String(seed + 50 + number), '--out', scratch.path('frames/')];
    expect(inputs.size).toBeGreaterThan(0);
    const words = [
      (run.prompt as string[])[0]!,
      ...(run.negative_prompt ? ['--negative-prompt', `${run.negative_prompt}`] : []),
    ];
    expect(await sample(...words, ...args, '--model', tiny(name), ...sizes, ...own)).toMatchObject({ code: 0 });
    const wanted = expected.get(`run${index}.${output}`)!;
    // Written as bytes: half a level and the tolerance of the reference.
    expect(maxAbsError(await pixelsOf('frames'), wanted.data)).toBeLessThan(0.5 / 255 + 1e-3);
  });

  // All four are calibrated through the library in test/pipelines/hub.test.ts; here, a picture and a clip.
  test.each(['flux-tiny', 'cogvideox-tiny'])(
    '%s: a policy is calibrated and used, and a sheet shows both',
    async name => {
      await writeFile(scratch.path('prompts.txt'), 'a fox\na cat\n# not this\n\n');
      const run = ['--model', tiny(name), '--steps', '4', '--guidance', '2'];
      const policy = scratch.path('p.json');
      const made = await command(
        ...['--backend', 'wasm', 'calibrate', ...run, '--prompts', scratch.path('prompts.txt'), '--pairs', '1'],
        ...['--held-out', '0', '--bound-pairs', '0', '--search', 'walk', '--batch', '1', '--out', policy],
      );
      expect(made.stderr + made.stdout).toContain(`wrote ${policy}`);
      const form = name === 'flux-tiny' ? 'png' : 'webp';
      const sheet = scratch.path(`sheet.${form}`);
      const out = scratch.path(`a.${form}`);
      const done = await sample('a dog', ...run, '--policy', policy, '--out', out, '--sheet', sheet);
      expect(done.stderr).not.toContain('ertacache:');
      expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('2 of 4 forwards') });
      const [drawn, both] = [(await readMedia(out)).pixels, (await readMedia(sheet)).pixels];
      expect(frames(both)).toHaveLength(frames(drawn).length);
      expect(((await readReceipt(out)) as Receipt).policy?.path).toBe(policy);
    },
    240_000,
  );
});

test('a policy is calibrated at the size that is asked for, from blocks on disk, and belongs to its noise levels', async () => {
  await writeFile(scratch.path('prompts.txt'), 'a fox\na cat\n');
  const run = ['--model', tiny('flux-tiny'), '--steps', '4', '--guidance', '2', '--offload'];
  const sized = ['--width', '48', '--height', '32'];
  const policy = scratch.path('p.json');
  const made = await command(
    ...['--backend', 'wasm', 'calibrate', ...run, ...sized, '--schedule', '##.#', '--out', policy],
    ...['--prompts', scratch.path('prompts.txt'), '--pairs', '1', '--held-out', '1'],
  );
  expect(made).toMatchObject({ code: 2, stderr: expect.stringContaining("'--schedule <strip>' cannot be used with") });
  const again = await command(
    ...['--backend', 'wasm', 'calibrate', ...run.filter(word => !['--steps', '4'].includes(word)), ...sized],
    ...['--schedule', '##.#', '--out', policy, '--prompts', scratch.path('prompts.txt'), '--pairs', '1'],
    ...['--held-out', '1', '--bound-pairs', '0'],
  );
  expect(again.stdout).toMatch(/^schedule +##\.# {2}\(3 of 4 computed/m);
  expect(JSON.parse(await readFile(policy, 'utf8'))).toMatchObject({ schedule: '##.#', search: { method: 'given' } });

  const own = ['--policy', policy, '--out', scratch.path('a.png')];
  expect(await sample('a dog', ...run, ...sized, ...own)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('3 of 4 forwards'),
  });
  // FLUX moves its noise levels with the size of the picture.
  const other = await sample('a dog', ...run, '--width', '32', '--height', '32', ...own);
  expect(other).toMatchObject({ code: 1, stderr: expect.stringMatching(SENTENCES) });
}, 240_000);

describe('prompts and pictures from files', () => {
  test('--prompts-file and --num-images name their files in --out-dir', async () => {
    await writeFile(scratch.path('p.txt'), 'red heart\n\n# a remark\nlion\n');
    const list = ['--prompts-file', scratch.path('p.txt'), '--num-images', '2', '--out-dir', scratch.path('out')];
    expect(await sample('key', ...list, '--steps', '1')).toMatchObject({ code: 0 });
    const names = ['key-0', 'key-1', 'lion-0', 'lion-1', 'red-heart-0', 'red-heart-1'];
    expect((await readdir(scratch.path('out'))).sort()).toEqual(names.map(name => `${name}.png`));
  });

  test('--embeddings draws their prompts again without a text encoder, and --from repeats that', async () => {
    const kept = scratch.path('e.safetensors');
    const run = [
      '--model',
      tiny('wan-tiny'),
      ...small,
      '--frames',
      '1',
      '--max-sequence-length',
      '8',
      '--guidance',
      '2',
    ];
    const out = (name: string): string[] => ['--out', scratch.path(name)];
    const first = await sample(
      'a fox',
      '--negative-prompt',
      'blur',
      ...run,
      '--save-embeddings',
      kept,
      ...out('a.webp'),
    );
    expect(first).toMatchObject({ code: 0, stderr: expect.stringContaining('wrote the embeddings to') });
    expect(await sample(...run, '--embeddings', kept, ...out('b.webp'))).toMatchObject({ code: 0 });
    expect(await pixelsOf('b.webp')).toEqual(await pixelsOf('a.webp'));
    expect(await readReceipt(scratch.path('b.webp'))).toMatchObject({ prompt: 'a fox', negativePrompt: 'blur' });
    expect(await sample('--from', scratch.path('b.webp'))).toMatchObject({ code: 0 });
    expect(await pixelsOf('b-again.webp')).toEqual(await pixelsOf('b.webp'));

    const other = await sample('a cat', ...run, '--embeddings', kept, ...out('c.webp'));
    expect([other.code, existsSync(scratch.path('c.webp'))]).toEqual([2, false]);
    expect(other.stderr).toContain('holds no embedding of "a cat"');
  });

  describe('the negative prompt of kept embeddings', () => {
    const kept = (): string => scratch.path('e.safetensors');
    const png = (name: string): string[] => ['--out', scratch.path(name)];
    const held = 'The negative prompt "blur" is that of ';
    const keep = async (model: string, ...guided: string[]): Promise<string[]> => {
      const run = ['--model', tiny(model), ...small];
      const away = [...guided, '--negative-prompt', 'blur', '--save-embeddings', kept()];
      const made = await sample('a red fox', 'a blue bird', ...run, ...away, '--out-dir', scratch.path('kept'));
      expect(made).toMatchObject({ code: 0, stderr: expect.not.stringContaining(held) });
      return [...run, '--embeddings', kept()];
    };

    test('is taken where the run has a use for it, and that is said', async () => {
      const run = await keep('chroma-tiny', '--guidance', '4');
      const done = await sample('a red fox', ...run, '--guidance', '4', ...png('a.png'));
      expect(done).toMatchObject({ code: 0, stderr: expect.stringContaining(`${held}${kept()}`) });
      expect(await readReceipt(scratch.path('a.png'))).toMatchObject({ negativePrompt: 'blur' });
      expect(await pixelsOf('a.png')).toEqual(await pixelsOf('kept/a-red-fox-0.png'));

      const own = ['--guidance', '4', '--negative-prompt', 'a blue bird'];
      const other = await sample('a red fox', ...run, ...own, ...png('b.png'));
      expect(other).toMatchObject({ code: 0, stderr: expect.not.stringContaining(held) });
      expect(await readReceipt(scratch.path('b.png'))).toMatchObject({ negativePrompt: 'a blue bird' });
      const empty = await sample('a red fox', ...run, '--guidance', '4', '--negative-prompt', '', ...png('c.png'));
      expect(empty).toMatchObject({ code: 2, stderr: expect.stringContaining('holds no embedding of ""') });
    });

    test.each([
      ['chroma-tiny', ['--guidance', '4'], ['--guidance', '1']],
      ['flux-tiny', ['--true-cfg-scale', '3'], []],
      ['flux-tiny', ['--true-cfg-scale', '3'], ['--true-cfg-scale', '1']],
    ])('%s: is left out where the run has none, also when that is repeated', async (model, guided, unguided) => {
      const run = await keep(model, ...guided);
      const done = await sample('a blue bird', ...run, ...unguided, ...png('a.png'));
      expect(done.stderr).not.toContain('negative');
      expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('4 of 4 forwards') });
      expect(await readReceipt(scratch.path('a.png'))).not.toHaveProperty('negativePrompt');
      expect(await sample('--from', scratch.path('a.png'))).toMatchObject({ code: 0 });
      expect(await pixelsOf('a-again.png')).toEqual(await pixelsOf('a.png'));
      if (model === 'chroma-tiny') return;
      expect(await sample('a blue bird', ...run, ...guided, ...png('b.png'))).toMatchObject({
        code: 0,
        stderr: expect.stringContaining(held),
      });
      expect(await pixelsOf('b.png')).toEqual(await pixelsOf('kept/a-blue-bird-0.png'));
    });
  });

  test('--init begins with a picture, and --from repeats that while it is unchanged', async () => {
    await sample('red heart', '--steps', '4', '--policy', 'none', '--out', scratch.path('a.png'), '--scale', '2');
    const run = ['--init', scratch.path('a.png'), '--strength', '0.5', '--steps', '4', '--seed', '3'];
    const done = await sample('blue heart', ...run, '--policy', 'none', '--out', scratch.path('b.png'));
    expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('  ##  2 of 2 forwards') });
    expect(await sample('--from', scratch.path('b.png'))).toMatchObject({ code: 0 });
    expect(await pixelsOf('b-again.png')).toEqual(await pixelsOf('b.png'));
    await writeMedia(scratch.path('a.png'), testImage(8, 8));
    expect(await sample('--from', scratch.path('b.png'))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is no longer the file that the picture was made with'),
    });
  });

  test('a picture of other proportions is stretched, and it is said', async () => {
    await writeMedia(scratch.path('wide.png'), testImage(8, 16));
    const run = ['--init', scratch.path('wide.png'), '--steps', '4', '--out', scratch.path('a.png')];
    const { code, stderr } = await sample('key', ...run);
    expect(code).toBe(0);
    expect(stderr).toContain('The picture of 16 × 8 is stretched to 64 × 64.');
  });
});

test('a GIF of a clip that plays too fast for it is refused before anything is drawn', async () => {
  const model = scratch.path('fast');
  await cp(resolve(__dirname, '../../converted-models/fluent-emoji-video'), model, { recursive: true });
  const [config, index] = [resolve(model, 'pipeline.json'), resolve(model, 'model.json')];
  const slow = await readFile(config, 'utf8');
  const fast = slow.replace('"frame_duration_ms": 200', '"frame_duration_ms": 10');
  await writeFile(config, fast);
  await writeFile(index, (await readFile(index, 'utf8')).replace(sha256(slow), sha256(fast)));
  const run = ['lion', '--model', model, '--policy', 'none', '--steps', '2'];
  for (const place of ['--out', '--preview']) {
    const done = await sample(...run, place, scratch.path('a.gif'));
    expect(done).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('50 frames per second at most'),
    });
  }
  expect(await files()).toEqual(['fast']);
});

const CLIP = ['--model', 'fluent-emoji-video', '--steps', '30'];

describe('what cannot be right is said in a sentence, and nothing is written', () => {
  const picture = () => scratch.path('a.png');
  beforeEach(async () => {
    await writeMedia(picture(), testImage(8, 8));
    await writeFile(scratch.path('empty.txt'), '\n# nothing\n');
    await writeMedia(scratch.path('frames/'), testImage(8, 8));
  });

  test.each<[string, () => string[], string]>([
    ['a picture that is not there', () => ['--init', scratch.path('none.png')], 'There is no file'],
    ['a picture that is none', () => ['--init', scratch.path('empty.txt')], 'empty.txt'],
    ['a strength without a picture', () => ['--strength', '0.5'], '--strength says how much of a picture'],
    ['checkpoints that nothing reads', () => ['--checkpoint-every', '3'], 'is of use only with --resume'],
    ['what cannot be gone on with', () => ['--resume', '--seed', 'random'], '--seed random begins another picture'],
    ['a strength of nothing', () => ['--init', picture(), '--strength', '0'], 'A strength of 0 leaves none of'],
    ['a strength over 1', () => ['--init', picture(), '--strength', '1.5'], "option '--strength"],
    ['a picture for clips', () => ['--init', picture(), '--model', 'fluent-emoji-video'], 'draws clips, and cannot'],
    ['a file of no prompts', () => ['--prompts-file', scratch.path('empty.txt')], 'empty.txt holds no prompts.'],
    ['a file that is not there', () => ['--prompts-file', scratch.path('none.txt')], 'none.txt does not exist.'],
    ['a sheet of nothing cached', () => ['--policy', 'none', '--sheet', scratch.path('s.png')], '--policy none caches'],
    ['a sheet without a policy', () => ['--steps', '2', '--sheet', scratch.path('s.png')], 'no policy is in use'],
    ['a sheet of no known form', () => ['--sheet', scratch.path('s.bmp')], 's.bmp ends with .bmp'],
    [
      'a preview over the picture',
      () => ['--out', scratch.path('p.png'), '--preview', scratch.path('p.png')],
      'a picture of this run is written there',
    ],
    ['a preview over what is read', () => ['--init', picture(), '--preview', picture()], 'a.png, and --init reads it'],
    ['a picture over what is read', () => ['--init', picture(), '--out', picture()], 'would take its place'],
    ['a preview and a sheet in one', () => ['--preview', 'x.png', '--sheet', './x.png'], 'and --sheet writes it'],
    ['a guidance without bounds', () => ['--guidance', '1e30'], "option '--guidance"],
    ['a scale of a LoRA without bounds', () => ['--lora', `${picture()}:1e30`], "option '--lora"],
    ['a scale of a LoRA that is no number', () => ['--lora', `${picture()}:nan`], "option '--lora"],
    ['a policy of no such name', () => ['--policy', 'fluent-emoji-30steps'], 'no policy of that name ships'],
    ['a policy called as what every object has', () => ['--policy', 'constructor'], 'no policy of that name ships'],
    ...['--from', '--prompts-file', '--out', '--out-dir', '--sheet', '--preview', '--init', '--policy', '--model'].map(
      (option): [string, () => string[], string] => [`an empty ${option}`, () => [option, ''], `${option} is empty.`],
    ),
    [
      'a clip as a picture',
      () => [...CLIP, '--out', scratch.path('v.png')],
      'PNG file holds one picture, and the clip',
    ],
    ['clips on a picture', () => [...CLIP, '--sheet', scratch.path('v.jpg')], 'JPEG file holds one picture'],
    ['previews of clips in one', () => [...CLIP, '--preview', scratch.path('v.png')], 'PNG file holds one picture'],
    [
      'a sheet beyond its format',
      () => ['--num-images', '500', '--out-dir', scratch.path('d'), '--sheet', scratch.path('s.webp')],
      'WEBP has sides of 16383 pixels at most',
    ],
    [
      'frames over the picture that is read',
      () => ['--init', scratch.path('frames/frame_0000.png'), '--out', scratch.path('frames/')],
      'would take its place',
    ],
    ['another size than the only one', () => ['--width', '32'], 'draws pictures of one size, 64×64.'],
    ['a name that is too long', () => ['--out', scratch.path(`${'n'.repeat(300)}.png`)], 'the name is too long'],
    ['two places to write', () => ['--out', 'b.png', '--out-dir', 'c'], '--out and --out-dir both'],
    ['embeddings of words', () => ['--save-embeddings', scratch.path('e.st')], 'has no text encoder whose work'],
    ['embeddings that are none', () => ['--embeddings', picture()], 'a.png'],
    [
      'a foreign negative',
      () => ['--model', tiny('flux-tiny'), '--negative-prompt', 'b'],
      'no use for a negative prompt',
    ],
    ['an interval backwards', () => ['--guidance-interval', '0.8,0.1'], "option '--guidance-interval"],
    ['an interval of one number', () => ['--guidance-interval', '0.8'], "option '--guidance-interval"],
    ['a shift of 0', () => ['--shift', '0'], "option '--shift"],
    ['true guidance of fluent-emoji', () => ['--true-cfg-scale', '2'], 'is guided by its guidance alone'],
    [
      'a shift of discrete times',
      () => ['--model', tiny('cogvideox-tiny'), '--frames', '1', '--shift', '2'],
      'which no shift moves',
    ],
    ['a side of 33', () => ['--model', tiny('wan-tiny'), '--width', '33'], 'is not a multiple of'],
  ])('%s', async (_, args, message) => {
    const { code, stdout, stderr } = await sample('lion', ...args());
    expect([code === 0, stdout]).toEqual([false, '']);
    expect(stderr).toContain(message);
    if (!message.startsWith("option '")) expect(stderr).toMatch(SENTENCES);
    expect(stderr).not.toContain('    at ');
    expect(await files()).toEqual(['a.png', 'empty.txt', 'frames']);
    expect(await readdir(scratch.path('frames'))).toHaveLength(2);
  });
});
