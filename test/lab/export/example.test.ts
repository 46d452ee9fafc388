import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { none } from '../../../src/cache/none';
import { dense } from '../../../src/media/pixels';
import { loadModel } from '../../../src/pipelines/load';
import { torchGenerator } from '../../../src/random/torch-generator';
import { runRequest } from '../../../src/sampling/run-job';
import { describeOnBackends } from '../../support/backends';

const root = join(__dirname, '../../..');
const example = join(root, 'examples/graph-model.mjs');

describeOnBackends('the embedded model in plain tfjs', () => {
  let scratch: string;
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'ertacache-example-'));
  });
  afterAll(() => rm(scratch, { recursive: true }));

  test('draws the picture that ertacache draws, in 40 lines', async () => {
    const lines = (await readFile(example, 'utf8')).split('\n').filter(line => !/^\s*(\/\/.*)?$/.test(line));
    expect(lines.length).toBeLessThanOrEqual(40);

    const [noise, picture] = [join(scratch, 'noise.bin'), join(scratch, 'heart.png')];
    await writeFile(noise, Buffer.from(Float32Array.from(torchGenerator(1).normal([64, 192])).buffer));
    const folder = join(root, 'converted-models/fluent-emoji');
    const child = spawnSync(process.execPath, [example, folder, 'red heart', picture, noise], { encoding: 'utf8' });
    expect(child.stderr).toBe('');
    expect(child.status).toBe(0);
    const theirs = await sharp(picture).raw().toBuffer();

    const model = await loadModel('fluent-emoji');
    const request = { prompts: ['red heart'], seeds: [1], steps: 30, guidance: 3 };
    const { media } = await runRequest(model, request, none());
    model.dispose();
    const ours = dense(media[0]!);
    expect(ours.length).toBe(theirs.length);
    const error = theirs.reduce((sum, value, i) => sum + (value / 255 - ours[i]!) ** 2, 0) / theirs.length;
    expect(-10 * Math.log10(error)).toBeGreaterThanOrEqual(50);
    // Sixty forward passes: seconds, but not on a machine that does much else.
  }, 300_000);
}, ['wasm']);
