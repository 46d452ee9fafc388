import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../../src/io/atomic';
import { withAtomicFolder } from '../../src/io/atomic-folder';
import { writeNew } from '../../src/io/fs';
import { self } from '../../src/io/owner';
import { stagedName } from '../../src/io/staged';
import { readReceipt } from '../../src/media/receipt';
import { writeMedia } from '../../src/media/write';
import { convertModel } from '../../src/weights/convert';
import { scratchFolder, testClip } from '../media/pictures';

const scratch = scratchFolder();
const EIGHT = [0, 1, 2, 3, 4, 5, 6, 7];

test('eight at once write the same name: one of them whole, with its own receipt', async () => {
  for (let round = 0; round < 5; round++) {
    await Promise.all(
      EIGHT.map(i => writeMedia(scratch.path('x.gif'), testClip(2 + i, 8, 8), { receipt: { frames: 2 + i } })),
    );
    const { frames } = (await readReceipt(scratch.path('x.gif'))) as { frames: number };
    await writeMedia(scratch.path(`alone-${round}.gif`), testClip(frames, 8, 8));
    const [bytes, alone] = ['x', `alone-${round}`].map(name => readFileSync(scratch.path(`${name}.gif`)));
    expect(bytes!.equals(alone!)).toBe(true);
  }
  expect(readdirSync(scratch.path()).filter(name => name.startsWith('.'))).toEqual([]);
});

test('eight at once write different names: all of them', async () => {
  await Promise.all(EIGHT.map(i => writeMedia(scratch.path(`${i}.mp4`), testClip(2, 8, 8), { receipt: { i } })));
  expect(readdirSync(scratch.path())).toHaveLength(16);
  for (const i of EIGHT) expect(await readReceipt(scratch.path(`${i}.mp4`))).toEqual({ i });
});

test('one of two conversions into a folder is refused', async () => {
  const good = join(__dirname, '../fixtures/bad/good');
  const options = { dtype: 'float16', tableOf: () => undefined, unchecked: true } as const;
  const both = await Promise.allSettled([0, 1].map(() => convertModel(good, scratch.path('out'), options)));
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  const refused = both.find(({ status }) => status === 'rejected');
  expect(refused).toMatchObject({
    reason: { message: expect.stringMatching(/is in use by another run|is not empty/) },
  });
  expect(readdirSync(scratch.path())).toEqual(['out']);
});

describe('what runs that are gone have left', () => {
  const other = { ...self };
  afterEach(() => Object.assign(self, other));

  /** A name as another process would have given it. */
  function nameOf(target: string, kind: 'new' | 'old', owner: Partial<typeof self> = { start: '1' }): string {
    Object.assign(self, owner);
    const name = stagedName(scratch.path(target), kind);
    Object.assign(self, other);
    return name;
  }

  test('is cleared by the next that writes the name; what is of others stays', async () => {
    writeFileSync(nameOf('x', 'new'), 'half');
    writeFileSync(nameOf('x', 'new', { pid: 2 ** 22 + 1 }), 'half');
    const alive = nameOf('x', 'new', {});
    const elsewhere = nameOf('x', 'new', { host: 'elsewhere' });
    const another = nameOf('y', 'new');
    const mine = scratch.path('.x.partial');
    for (const path of [alive, elsewhere, another, mine]) writeFileSync(path, 'half');
    await writeFileAtomic(scratch.path('x'), 'whole');
    const left = [alive, elsewhere, another, mine, scratch.path('x')];
    expect(readdirSync(scratch.path()).sort()).toEqual(left.map(path => path.split('/').at(-1)).sort());
  });

  test('returns to its name where a run ended between stepping aside and the new one', async () => {
    const aside = nameOf('out', 'old');
    mkdirSync(aside);
    writeFileSync(join(aside, 'mine.txt'), 'mine');
    writeFileSync(join(aside, 'part'), 'old');
    const own = async () => new Set(['part']);
    await withAtomicFolder(scratch.path('out'), folder => writeNew(join(folder, 'part'), 'new'), {
      own,
      others: 'keep',
    });
    expect(readdirSync(scratch.path())).toEqual(['out']);
    expect(readFileSync(scratch.path('out', 'mine.txt'), 'utf8')).toBe('mine');
    expect(readFileSync(scratch.path('out', 'part'), 'utf8')).toBe('new');
  });
});
