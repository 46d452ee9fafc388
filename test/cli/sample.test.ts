import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Receipt } from '../../src/draw/receipt';
import { packageRoot } from '../../src/io/package-root';
import { dense } from '../../src/media/pixels';
import { readImage } from '../../src/media/read';
import { readReceipt } from '../../src/media/receipt';
import { writeMedia } from '../../src/media/write';
import { readPolicy } from '../../src/policy/file';
import { policyHash } from '../../src/policy/hash';
import { VERSION } from '../../src/version';
import { scratchFolder, testImage } from '../media/pictures';
import { command } from '../weights/command';

const scratch = scratchFolder();
const shipped = join(packageRoot(), 'calibration', 'fluent-emoji-30steps-g3-15.json');

/** Few steps of the embedded model on the backend that is everywhere. */
const sample = (...args: string[]) => command('--backend', 'wasm', 'sample', ...args);
const files = async (): Promise<string[]> => (await readdir(scratch.path())).sort();
const receiptOf = async (name: string) => (await readReceipt(scratch.path(name))) as Receipt;
const pixelsOf = async (name: string) => [...dense(await readImage(scratch.path(name)))];

/** One sentence on what is wrong and perhaps one on what to do, without a stack. */
const SENTENCES = /^ertacache: [^\n]+[^.\n]\.\n( {2}[^\n]+\n)?$/;

test('a picture holds the receipt of its run, and inspect prints it', async () => {
  const { code, stdout, stderr } = await sample(
    'red heart',
    '--steps',
    '2',
    '--seed',
    '5',
    '--out',
    scratch.path('a.png'),
  );
  expect(code).toBe(0);
  expect(stderr).toContain('backend: wasm');
  expect(stderr).toContain('No shipped policy fits fluent-emoji at 2 steps and guidance 3: every step is computed.');
  expect(stdout).toMatch(/a\.png {2}## {2}2 of 2 forwards, [\d.]+ s\n$/);
  expect(await files()).toEqual(['a.png']);
  const receipt = await receiptOf('a.png');
  expect(receipt).toEqual({
    tool: 'ertacache',
    version: VERSION,
    model: { id: 'fluent-emoji', hash: expect.stringMatching(/^[0-9a-f]{64}$/), path: 'fluent-emoji' },
    prompt: 'red heart',
    seed: 5,
    steps: 2,
    guidance: 3,
    scale: 1,
    backend: 'wasm',
    kernels: expect.stringMatching(/^(fma|plain)$/),
    policy: null,
    schedule: '##',
    forwards: 2,
  });
  const shown = await command('inspect', scratch.path('a.png'));
  expect(shown.code).toBe(0);
  expect(shown.stdout).toMatch(/^prompt +red heart$/m);
  expect(shown.stdout).toMatch(/^schedule +##$/m);
  const json = await command('inspect', '--json', scratch.path('a.png'));
  expect(JSON.parse(json.stdout)).toEqual(receipt);
});

test('a negative prompt without guidance is said to do nothing', async () => {
  const run = ['--steps', '1', '--policy', 'none', '--negative-prompt', 'lion', '--out', scratch.path('a.png')];
  expect((await sample('key', '--guidance', '1', ...run)).stderr).toContain('does nothing at guidance 1');
  expect((await sample('key', '--guidance', '2', ...run)).stderr).not.toContain('does nothing');
  const interval = await sample('key', '--guidance', '1', ...run, '--guidance-interval', '0,1');
  expect(interval.stderr).toContain('--guidance-interval does nothing');
});

describe('--from', () => {
  test('repeats a run bit for bit, with its scale, shift, guidance and negative prompt', async () => {
    const guiding = ['--guidance', '2', '--negative-prompt', 'lion', '--guidance-interval', '0.1,0.9', '--shift', '2'];
    const own = ['--steps', '2', ...guiding, '--scale', '3'];
    await sample('star', ...own, '--seed', '9', '--policy', 'none', '--out', scratch.path('a.png'));
    const { code, stdout } = await sample('--from', scratch.path('a.png'));
    expect([code, await files()]).toEqual([0, ['a-again.png', 'a.png']]);
    expect(stdout).toContain('a-again.png');
    expect(await readFile(scratch.path('a-again.png'))).toEqual(await readFile(scratch.path('a.png')));
    expect((await readImage(scratch.path('a.png'))).shape).toEqual([192, 192, 3]);
  });

  test('takes the policy that made the picture from its file, or the one that ships, and no other', async () => {
    const [policy, picture] = [scratch.path('p.json'), scratch.path('a.png')];
    await copyFile(shipped, policy);
    await copyFile(shipped.replace('.json', '.safetensors'), scratch.path(await coefficientsOf(policy)));
    const hash = policyHash(await readPolicy(policy));
    const made = { prompt: 'key', seed: 1, steps: 30, guidance: 3, schedule: '#'.repeat(30), forwards: 30 };
    const { model } = await fabricated('model.png', {});
    const receipt = { ...made, model, policy: { name: 'ertacache', hash, path: policy } };

    await writeMedia(picture, testImage(4, 4), { receipt: { ...(await fabricated('x.png', {})), ...receipt } });
    const repeated = await sample('--from', picture, '--out', scratch.path('b.png'));
    expect(repeated.code).toBe(0);
    expect((await receiptOf('b.png')).policy).toEqual(receipt.policy);

    // Another policy lies under its name now: the one that ships has the right hash.
    await writeFile(policy, (await readFile(policy, 'utf8')).replace('"search": {', '"search": { "note": "other",'));
    await sample('--from', picture, '--out', scratch.path('c.png'));
    expect((await receiptOf('c.png')).policy).toEqual({ name: 'ertacache', hash });
    expect(await pixelsOf('c.png')).toEqual(await pixelsOf('b.png'));
  });

  test('says so when the policy is gone, and writes nothing', async () => {
    await fabricated('a.png', { policy: { name: 'mine', hash: '0123456789abcdef', path: scratch.path('gone.json') } });
    const { code, stderr } = await sample('--from', scratch.path('a.png'));
    expect(code).toBe(1);
    expect(stderr).toContain('The policy "mine" (0123456789abcdef) that made the picture is no longer here.');
    expect(await files()).toEqual(['a.png']);
  });

  test('says so when the model is another version, or the backend another one', async () => {
    await fabricated('a.png', { model: { id: 'fluent-emoji', hash: 'f'.repeat(64), path: 'fluent-emoji' } });
    const other = await sample('--from', scratch.path('a.png'));
    expect(other.code).toBe(2);
    expect(other.stderr).toContain('made with another version of the model "fluent-emoji"');
    await fabricated('b.png', { backend: 'native', steps: 1 });
    expect((await sample('--from', scratch.path('b.png'))).stderr).toContain('Made on native, repeated on wasm');
  });

  test('repeats a run of bfloat16 in bfloat16, or not at all', async () => {
    await fabricated('a.png', { dtype: 'bfloat16', steps: 1 });
    const { code, stderr } = await sample('--from', scratch.path('a.png'));
    expect(code).toBe(1);
    expect(stderr).toContain('bfloat16 needs the native backend, and wasm is active.');
    expect(await files()).toEqual(['a.png']);
  });

  test('refuses pictures without a receipt, with a foreign one, and a prompt beside it', async () => {
    await writeMedia(scratch.path('plain.png'), testImage(4, 4));
    await writeMedia(scratch.path('foreign.png'), testImage(4, 4), { receipt: { tool: 'other' } });
    await fabricated('own.png', {});
    const results = [
      await sample('--from', scratch.path('plain.png')),
      await sample('--from', scratch.path('foreign.png')),
      await sample('lion', '--from', scratch.path('own.png')),
      await sample('--from', scratch.path('none.png')),
    ];
    expect(results.map(r => r.code)).toEqual([1, 2, 2, 1]);
    for (const { stderr } of results) expect(stderr).toMatch(SENTENCES);
    expect(await files()).toEqual(['foreign.png', 'own.png', 'plain.png']);
  });

  test.each([
    [['--seed', '9'], 'and --seed is given as well'],
    [['--steps', '5'], 'and --steps is given as well'],
    [['--policy', 'none'], 'and --policy is given as well'],
    [['--lora', 'a.safetensors'], 'was made with 0 LoRAs, and --lora names 1'],
    [['--transformer', 'a.gguf'], 'was made without --transformer'],
    [['--init', 'a.png'], 'was made without --init'],
  ])('refuses %j, which the run has of its own', async (more, message) => {
    await fabricated('a.png', {});
    const { code, stderr } = await sample('--from', scratch.path('a.png'), ...more);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
    expect(await files()).toEqual(['a.png']);
  });

  const coefficientsOf = async (policy: string): Promise<string> =>
    (await JSON.parse(await readFile(policy, 'utf8'))).rectify.file;

  /** A picture whose receipt says what a test wants it to say. */
  async function fabricated(name: string, change: Partial<Receipt>): Promise<Receipt> {
    const { data } = await readPolicy(shipped);
    const receipt: Receipt = {
      tool: 'ertacache',
      version: VERSION,
      model: { id: 'fluent-emoji', hash: data.model.hash, path: 'fluent-emoji' },
      prompt: 'key',
      seed: 1,
      steps: 2,
      guidance: 1,
      scale: 1,
      backend: 'wasm',
      policy: null,
      schedule: '##',
      forwards: 2,
      ...change,
    };
    await writeMedia(scratch.path(name), testImage(4, 4), { receipt });
    return receipt;
  }
});

describe('a policy that cannot serve the run', () => {
  const run = (...args: string[]) => sample('lion', ...args, '--out', scratch.path('a.png'));

  test.each([
    ['other steps', ['--policy', shipped, '--steps', '3'], 'The policy is for 30 steps, and this run has 3.'],
    ['another guidance', ['--policy', shipped, '--guidance', '2'], 'at guidance 3, and this run uses 2.'],
    ['a file that is not there', ['--policy', '/nowhere/p.json'], '/nowhere/p.json does not exist.'],
  ])('%s: is refused, and nothing is written', async (_, args, message) => {
    const { code, stdout, stderr } = await run(...args);
    expect([code, stdout, await files()]).toEqual([1, '', []]);
    expect(stderr).toContain(message);
  });

  test('a broken one is refused as well', async () => {
    await mkdir(scratch.path('in'));
    await writeFile(scratch.path('in', 'p.json'), '{}');
    const { code, stderr } = await run('--policy', scratch.path('in', 'p.json'));
    expect([code, await files()]).toEqual([1, ['in']]);
    expect(stderr).toContain('is not a policy of ertacache');
  });
});

describe('names', () => {
  const home = process.cwd();
  afterEach(() => process.chdir(home));

  test('come from prompt and seed; prompts that would share one are told apart', async () => {
    process.chdir(scratch.path());
    const { code, stdout } = await sample(
      'Red, heart!',
      'red heart',
      '--num-images',
      '2',
      '--steps',
      '1',
      '--seed',
      '3',
    );
    const names = ['red-heart-3.png', 'red-heart-4.png', 'red-heart-2-3.png', 'red-heart-2-4.png'];
    expect(code).toBe(0);
    expect(stdout.split('\n').map(line => line.split(' ')[0])).toEqual([...names, '']);
    expect(await files()).toEqual([...names].sort());
    expect(await pixelsOf('red-heart-3.png')).toEqual(await pixelsOf('red-heart-2-3.png'));
    expect(await pixelsOf('red-heart-3.png')).not.toEqual(await pixelsOf('red-heart-4.png'));
  });
});

test('words that the model does not know are named', async () => {
  const { stderr } = await sample('red zyxw heart', '--steps', '1', '--out', scratch.path('a.png'));
  expect(stderr).toContain('fluent-emoji does not know "zyxw": left out.');
});

test('Ctrl-C keeps the finished pictures and ends with 130', async () => {
  const home = process.cwd();
  process.chdir(scratch.path());
  // The line about the first picture is when the user has seen enough.
  const stopped = jest.spyOn(console, 'log').mockImplementation(() => void process.emit('SIGINT'));
  const notes = jest.spyOn(process.stderr, 'write').mockImplementation(() => true);
  const { run } = await import('../../src/cli/program');
  const code = await run(['node', 'ertacache', '--backend', 'wasm', 'sample', 'lion', 'key', '--steps', '2']);
  const said = notes.mock.calls.map(([text]) => String(text)).join('');
  stopped.mockRestore();
  notes.mockRestore();
  process.chdir(home);
  expect([code, await files()]).toEqual([130, ['lion-0.png']]);
  expect(said).toContain('what was finished has been kept');
  expect(process.listenerCount('SIGINT')).toBe(0);
});

describe('a command line that cannot be right ends with 2, before anything is computed', () => {
  test.each([
    ['no prompt', [], 'There is no prompt.'],
    ['several pictures in one file', ['lion', 'key', '--out', 'a.png'], '--out names one file and 2 pictures'],
    ['one prompt, several pictures in one file', ['lion', '--num-images', '3', '--out', 'a.png'], 'and 3 pictures'],
    ['a format that is not written', ['lion', '--out', 'a.bmp'], 'a.bmp ends with .bmp, which is not written.'],
  ])('%s', async (_, args, message) => {
    const { code, stdout, stderr } = await sample(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(SENTENCES);
    expect(stderr).toContain(message);
  });

  test.each([
    ['--steps', '0'],
    ['--steps', '2.5'],
    ['--steps', 'many'],
    ['--steps', ''],
    ['--seed', '-1'],
    ['--seed', '1e300'],
    ['--guidance', '-1'],
    ['--guidance', 'NaN'],
    ['--guidance', 'Infinity'],
    ['--num-images', '0'],
    ['--scale', '0'],
  ])('%s %j', async (option, value) => {
    const { code, stderr } = await sample('lion', `${option}=${value}`, '--out', scratch.path('a.png'));
    expect(code).toBe(2);
    expect(stderr).toContain(`option '${option}`);
    expect(stderr).toMatch(/must be a (whole )?number|Seeds are whole numbers from 0 to 18446744073709551615/);
    expect(await files()).toEqual([]);
  });
});

test('a model that is not there is one sentence and exit 1', async () => {
  const { code, stderr } = await sample('lion', '--model', 'no-such-model', '--out', scratch.path('a.png'));
  expect(code).toBe(1);
  expect(stderr.replace(/^backend: .*\n/, '')).toMatch(SENTENCES);
  expect(stderr).toContain('There is no model "no-such-model".');
  expect(await files()).toEqual([]);
});
