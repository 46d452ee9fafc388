import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { batches, boundPairs, heldOutPairs, splitPairs } from '../../src/calibration/pairs';
import { UsageError } from '../../src/errors';
import { packageRoot } from '../../src/io/package-root';

const embedded = JSON.parse(
  readFileSync(join(packageRoot(), 'converted-models/fluent-emoji/prompts.json'), 'utf8'),
) as { prompt: string }[];

const overlap = (a: readonly unknown[], b: readonly unknown[]): unknown[] => a.filter(x => b.includes(x));

describe('the split into calibration and evaluation', () => {
  test('shares no prompt and no seed, whatever the prompts', () => {
    const counts = fc.integer({ min: 1, max: 300 });
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 2, maxLength: 60 }), counts, counts, (prompts, a, b) => {
        fc.pre(new Set(prompts).size > 1);
        const { calibration, evaluation } = splitPairs(prompts, a, b);
        expect([calibration.length, evaluation.length]).toEqual([a, b]);
        const of = (key: 'prompt' | 'seed') => [calibration.map(p => p[key]), evaluation.map(p => p[key])] as const;
        expect(overlap(...of('prompt'))).toEqual([]);
        expect(overlap(...of('seed'))).toEqual([]);
      }),
    );
  });

  test('of the embedded model shares none either, over all of its prompts', () => {
    const prompts = embedded.map(p => p.prompt);
    const { calibration, evaluation } = splitPairs(prompts, 268, 268);
    expect(
      overlap(
        calibration.map(p => p.prompt),
        evaluation.map(p => p.prompt),
      ),
    ).toEqual([]);
    expect(new Set(calibration.map(p => p.prompt)).size).toBe(268);
  });

  test('has seeds that cannot meet however many there are, and refuses more than there are', () => {
    const { calibration, evaluation } = splitPairs(['a', 'b'], 20_000, 20_000);
    const most = (pairs: readonly { seed: number }[]): number => pairs.reduce((a, p) => Math.max(a, p.seed), 0);
    expect(most(evaluation)).toBeLessThan(calibration[0]!.seed);
    expect(most(calibration)).toBeLessThan(2 ** 31);
    expect(() => splitPairs(['a', 'b'], 1, 2 ** 30)).toThrow('There are not 1073741824 seeds of their own.');
  });

  test('depends on the prompts alone, not on their order or repetitions', () => {
    const prompts = ['a', 'b', 'c', 'd', 'e'];
    expect(splitPairs([...prompts].reverse().concat('a', 'c'), 3, 3)).toEqual(splitPairs(prompts, 3, 3));
  });

  test('gives a prompt again with another seed when there are fewer prompts than pairs', () => {
    const { calibration } = splitPairs(['a', 'b'], 3, 0);
    expect(new Set(calibration.map(p => p.prompt)).size).toBe(1);
    expect(new Set(calibration.map(p => p.seed)).size).toBe(3);
  });

  test('does without evaluation when none is asked for, and refuses a single prompt', () => {
    expect(splitPairs(['a', 'b'], 2, 0).evaluation).toEqual([]);
    expect(() => splitPairs(['a'], 2, 2)).toThrow(UsageError);
    expect(() => splitPairs(['a', 'a'], 2, 0)).toThrow(UsageError);
    expect(() => splitPairs([], 2, 0)).toThrow('no prompts left for calibration');
  });
});

describe('held-out pairs', () => {
  const { calibration, evaluation } = splitPairs(['a', 'b', 'c', 'd'], 50, 50);

  test('have the prompts that calibration has not, and noise that nothing else has', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 16, maxLength: 16 }), hash => {
        const unseen = heldOutPairs(evaluation, hash);
        expect(unseen.map(p => p.prompt)).toEqual(evaluation.map(p => p.prompt));
        expect(new Set([...unseen, ...calibration, ...evaluation].map(p => p.seed)).size).toBe(150);
        expect(unseen.every(p => p.seed >= 2 ** 31 && p.seed < 2 ** 32)).toBe(true);
      }),
    );
  });

  test('are others for another policy, and the same for the same', () => {
    const [one, two] = ['0123456789abcdef', '1123456789abcdef'].map(hash => heldOutPairs(evaluation, hash));
    expect(heldOutPairs(evaluation, '0123456789abcdef')).toEqual(one);
    expect(one!.some(p => two!.some(q => q.seed === p.seed))).toBe(false);
  });
});

describe('pairs for bounds', () => {
  const prompts = ['a', 'b', 'c', 'd', 'e', 'f'];

  test('have no prompt that calibration takes of the same list, nor one that a policy of another list has seen', () => {
    const of = (pairs: readonly { prompt: string }[]) => [...new Set(pairs.map(p => p.prompt))];
    const usual = of(boundPairs(prompts, 12));
    expect(overlap(usual, of(splitPairs(prompts, 12, 0).calibration))).toEqual([]);
    const seen = new Set(usual.slice(1));
    expect(of(boundPairs(prompts, 12, seen))).toEqual(usual.slice(0, 1));
    expect(boundPairs(prompts, 12, new Set(['elsewhere']))).toEqual(boundPairs(prompts, 12));
    expect(() => boundPairs(prompts, 12, new Set(prompts))).toThrow('no prompts left for a bound');
  });
});

describe('batches', () => {
  const pairs = Array.from({ length: 5 }, (_, i) => ({ prompt: `p${i}`, seed: i }));

  test('keep the order and put the rest into a smaller last one', () => {
    expect(batches(pairs, 2).map(b => b.map(p => p.seed))).toEqual([[0, 1], [2, 3], [4]]);
    expect(batches(pairs, 9)).toEqual([pairs]);
  });

  test.each([0, -1, 1.5, Number.NaN])('of %p pairs are refused', size => {
    expect(() => batches(pairs, size)).toThrow(UsageError);
  });
});
