import { resolve } from 'node:path';
import { none } from '../../src/cache/none';
import { dense } from '../../src/media/pixels';
import { loadModel } from '../../src/pipelines/load';
import { runRequest } from '../../src/sampling/run-job';
import { scratchFolder } from '../media/pictures';
import { describeOnBackends } from '../support/backends';
import { command } from '../weights/command';

const fixtures = resolve(__dirname, '../fixtures/pipelines');
const cases = ['flux-tiny', 'wan-tiny', 'cogvideox-tiny', 'opensora-tiny'] as const;
const scratch = scratchFolder();

describeOnBackends('a whole pipeline, converted', () => {
  test.each(cases)('%s: is checked part by part, and draws the same pixels bit for bit', async name => {
    const source = resolve(fixtures, name, 'pipeline');
    const converted = scratch.path('converted');
    const done = await command('convert', source, converted, '--dtype', 'float32', '--shard-bytes', '100000');
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(await command('info', converted)).toMatchObject({ code: 0, stderr: '' });

    const made = [];
    for (const folder of [source, converted]) {
      const pipeline = await loadModel(folder);
      const size = { width: 32, height: 32, frames: 1 };
      const request = { prompts: ['a red fox, café'], seeds: [3], steps: 2, guidance: 3, size };
      const { media } = await runRequest(pipeline, request, none());
      made.push({ hash: pipeline.info.hash, pixels: dense(media[0]!) });
      pipeline.dispose();
    }
    expect(made[1]!.hash).toBe(made[0]!.hash);
    expect(made[1]!.pixels).toEqual(made[0]!.pixels);
  });
});
