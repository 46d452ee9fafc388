import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { applyRope, ropeTables } from '../../src/nn/rope';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference } from '../support/golden';

type Pair = [number, number];

/** The pair turned by an angle, in double precision. */
const turned = ([a, b]: Pair, angle: number): Pair => [
  a * Math.cos(angle) - b * Math.sin(angle),
  a * Math.sin(angle) + b * Math.cos(angle),
];

/** Products and sums of two numbers up to 1. */
const FLOAT_TURN = 1e-6;

describeOnBackends('rotary tables', () => {
  test('hold every angle twice, axis after axis, each axis with frequencies of its own', () => {
    const positions = [
      [0, 0],
      [3, 7],
      [1, 250],
    ];
    const { cos, sin } = ropeTables(positions, [4, 6], 100);
    expect(cos.shape).toEqual([3, 10]);
    const angles = positions.map(([a, b]) => [
      ...[0, 1].map(i => a! * 100 ** ((-2 * i) / 4)),
      ...[0, 1, 2].map(i => b! * 100 ** ((-2 * i) / 6)),
    ]);
    const twice = (f: (x: number) => number) => angles.flat().flatMap(x => [Math.fround(f(x)), Math.fround(f(x))]);
    // In double precision until the last rounding: equal to the bit.
    expect([...cos.dataSync()]).toEqual(twice(Math.cos));
    expect([...sin.dataSync()]).toEqual(twice(Math.sin));
    tf.dispose([cos, sin]);
  });

  test('turn adjacent pairs of channels by the angles of their token, in every head and row', () => {
    const [batch, tokens, heads, width] = [2, 3, 2, 6];
    const rope = ropeTables([[0], [1], [5]], [width]);
    const x = tf.randomUniform([batch, tokens, heads, width], -1, 1, 'float32', 1);
    const values = x.dataSync();
    const expected: number[] = [];
    for (let i = 0; i < values.length; i += 2) {
      const token = Math.floor(i / (heads * width)) % tokens;
      const angle = [0, 1, 5][token]! * 10_000 ** (-(i % width) / width);
      expected.push(...turned([values[i]!, values[i + 1]!], angle));
    }
    const out = tf.tidy(() => applyRope(x, rope));
    expect(out.shape).toEqual(x.shape);
    expect(maxAbsDifference(out.dataSync(), expected)).toBeLessThan(FLOAT_TURN);
    tf.dispose([x, out, rope.cos, rope.sin]);
  });

  test('make the product of a query and a key depend on the distance of their tokens alone', () => {
    const coordinate = fc.integer({ min: -30, max: 30 });
    fc.assert(
      fc.property(coordinate, coordinate, coordinate, coordinate, (a, b, distance, shift) => {
        const product = (from: number): number =>
          tf.tidy(() => {
            const rope = ropeTables([[from], [from + distance]], [8]);
            const pair = tf.concat(
              [0, 1].map(i => tf.randomUniform([1, 1, 1, 8], -1, 1, 'float32', a + 61 * b + i + 1)),
              1,
            );
            const [query, key] = tf.split(applyRope(pair, rope), 2, 1);
            return tf.sum(tf.mul(query!, key!)).dataSync()[0]!;
          });
        // A sum of eight products of numbers up to √2.
        expect(Math.abs(product(a) - product(a + shift))).toBeLessThan(5e-6);
      }),
      { numRuns: 20 },
    );
  });

  test('leave lengths alone and position zero as it is', () => {
    const x = tf.randomUniform([1, 2, 1, 4], -1, 1, 'float32', 3);
    const rope = ropeTables([[0], [123]], [4]);
    const out = tf.tidy(() => applyRope(x, rope));
    const [given, got] = [x.dataSync(), out.dataSync()];
    expect([...got.subarray(0, 4)]).toEqual([...given.subarray(0, 4)]);
    const length = (v: ArrayLike<number>) => Math.hypot(v[4]!, v[5]!, v[6]!, v[7]!);
    expect(length(got)).toBeCloseTo(length(given), 6);
    tf.dispose([x, out, rope.cos, rope.sin]);
  });
});
