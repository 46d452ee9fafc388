import { z } from 'zod';
import { UsageError } from '../errors';
import { roundToBfloat16 } from './bfloat16';
import { mt19937, SIZE } from './mt19937';
import { SEED_HINT } from './seed';

/** Number types that a normal draw can have; bfloat16 values come widened to float32. */
export type DrawType = 'float32' | 'bfloat16';

/** A stream of random numbers; every draw moves it on. */
export interface TorchGenerator {
  /**
   * The next 32 random bits, as a number in [0, 2³²).
   * @returns a whole number in [0, 2³²)
   */
  random32(): number;
  /**
   * The next 64 random bits: the first 32-bit output is the high half.
   * @returns a whole number in [0, 2⁶⁴)
   */
  random64(): bigint;
  /**
   * Uniform on [0, 1) with 24 random bits.
   * @returns a number that float32 holds exactly
   */
  uniformFloat(): number;
  /**
   * Uniform on [0, 1) with 53 random bits.
   * @returns a double
   */
  uniformDouble(): number;
  /**
   * Standard normal values, what `torch.randn(shape, generator=g, dtype=type)` gives on the CPU.
   * @param shape a count, or the sizes of a row-major array
   * @param type number type of the draw; `float32` by default
   * @returns values in row-major order
   * @throws UsageError for sizes that are not whole numbers from 0 up
   */
  normal(shape: number | readonly number[], type?: DrawType): Float32Array;
  /**
   * All that decides what comes next, as plain values.
   * @returns the state, for `restore`
   */
  state(): GeneratorState;
  /**
   * Goes on where another generator was.
   * @param state what its `state` returned
   * @throws UsageError for what it cannot have returned
   */
  restore(state: unknown): void;
}

/** Where a generator is in its stream, as plain values. */
export type GeneratorState = {
  /** Words of the Mersenne Twister. */
  readonly words: readonly number[];
  /** Which of them comes next. */
  readonly next: number;
  /** The second value of a pair, where it waits to be taken. */
  readonly spare: number | null;
};

const stateSchema: z.ZodType<GeneratorState> = z.object({
  words: z.array(z.int().min(0).max(0xffffffff)).length(SIZE),
  next: z.int().min(0).max(SIZE),
  spare: z.number().nullable(),
});

/** From this many values on, PyTorch fills blocks of 16; below, it draws one by one in double precision. */
const BLOCK = 16;

/**
 * PyTorch's CPU random generator. It is the only random source of ertacache: pure JavaScript, so a seed gives the
 * same noise on every backend, and the noise that PyTorch gives for that seed.
 *
 * Source: PyTorch `ATen/CPUGeneratorImpl.cpp`, `ATen/core/DistributionsHelper.h` and
 * `ATen/native/cpu/DistributionTemplates.h`.
 * @param seed an integer in [-2⁶³, 2⁶⁴), of which, as in PyTorch, the low 32 bits count
 * @returns a generator at the beginning of its stream
 * @throws UsageError for a seed that is not whole, or does not fit in 64 bits
 */
export function torchGenerator(seed: number | bigint): TorchGenerator {
  const twister = mt19937(seedBits(seed));
  const random32 = twister.next;
  let spare: number | undefined;

  const uniformFloat = () => (random32() & 0xffffff) * 2 ** -24;

  // 64 bits masked to 53: of the first output only the low 21 bits are left.
  const uniformDouble = () => ((random32() & 0x1fffff) * 2 ** 32 + random32()) * 2 ** -53;

  /** One value in double precision; Box–Muller makes two, and the second waits in the generator for the next call. */
  function normalScalar(): number {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const angle = 2 * Math.PI * uniformDouble();
    const radius = Math.sqrt(-2 * Math.log1p(-uniformDouble()));
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** Uniform values first, then Box–Muller in place; a ragged tail redraws the last 16 values. */
  function fillBlocks(values: Float32Array): void {
    for (let i = 0; i < values.length; i++) values[i] = uniformFloat();
    for (let i = 0; i + BLOCK <= values.length; i += BLOCK) boxMuller(values, i);
    if (values.length % BLOCK === 0) return;
    const last = values.length - BLOCK;
    for (let i = last; i < values.length; i++) values[i] = uniformFloat();
    boxMuller(values, last);
  }

  return {
    random32,
    random64: () => (BigInt(random32()) << 32n) | BigInt(random32()),
    uniformFloat,
    uniformDouble,
    normal(shape, type = 'float32') {
      const values = new Float32Array(elementCount(shape));
      if (values.length >= BLOCK) fillBlocks(values);
      else for (let i = 0; i < values.length; i++) values[i] = normalScalar();
      // The reference computes half-precision noise in float32 and rounds at the end.
      return type === 'bfloat16' ? values.map(roundToBfloat16) : values;
    },
    state() {
      const { words, next } = twister.state();
      return { words: [...words], next, spare: spare ?? null };
    },
    restore(given) {
      const parsed = stateSchema.safeParse(given);
      if (!parsed.success) throw new UsageError('What was given is not the state of a random generator.');
      twister.restore(parsed.data);
      spare = parsed.data.spare ?? undefined;
    },
  };
}

/** 16 uniform values to 16 normal ones, in place: the first eight give the radius, the last eight the angle. */
function boxMuller(values: Float32Array, start: number): void {
  for (let j = start; j < start + BLOCK / 2; j++) {
    const radius = Math.sqrt(-2 * Math.log(1 - values[j]!));
    const angle = 2 * Math.PI * values[j + BLOCK / 2]!;
    values[j] = radius * Math.cos(angle);
    values[j + BLOCK / 2] = radius * Math.sin(angle);
  }
}

function seedBits(seed: number | bigint): number {
  if (typeof seed !== 'bigint' && !Number.isSafeInteger(seed)) {
    throw new UsageError(`The seed ${String(seed)} is not a whole number.`, {
      hint: `${SEED_HINT} Above 2⁵³ - 1 they are bigints.`,
    });
  }
  const wide = BigInt(seed);
  if (wide < -(1n << 63n) || wide >= 1n << 64n) {
    throw new UsageError(`The seed ${seed} does not fit in 64 bits.`, { hint: SEED_HINT });
  }
  return Number(BigInt.asUintN(32, wide));
}

function elementCount(shape: number | readonly number[]): number {
  const count = typeof shape === 'number' ? shape : shape.reduce((product, size) => product * size, 1);
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new UsageError(`Noise of shape [${shape}] cannot be drawn.`, { hint: 'Sizes are whole numbers from 0 up.' });
  }
  return count;
}
