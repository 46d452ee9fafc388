/** Words of its state. */
export const SIZE = 624;
const SHIFT = 397;

/** A stream of 32-bit numbers. */
export interface MersenneTwister {
  /** The next output in [0, 2³²). */
  next(): number;
  /** All that decides what comes next. */
  state(): { readonly words: readonly number[]; readonly next: number };
  /** Goes on where another one was. */
  restore(state: ReturnType<MersenneTwister['state']>): void;
}

/**
 * The 32-bit Mersenne Twister (Matsumoto and Nishimura, 1998), seeded as `init_genrand` does.
 * @param seed taken modulo 2³²
 */
export function mt19937(seed: number): MersenneTwister {
  const state = new Uint32Array(SIZE);
  let next = SIZE;

  state[0] = seed;
  for (let i = 1; i < SIZE; i++) {
    const previous = state[i - 1]! ^ (state[i - 1]! >>> 30);
    state[i] = Math.imul(1812433253, previous) + i;
  }

  function refill(): void {
    for (let i = 0; i < SIZE; i++) {
      const mixed = (state[i]! & 0x80000000) | (state[(i + 1) % SIZE]! & 0x7fffffff);
      state[i] = state[(i + SHIFT) % SIZE]! ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
    }
    next = 0;
  }

  return {
    next() {
      if (next === SIZE) refill();
      let y = state[next++]!;
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    },
    state: () => ({ words: [...state], next }),
    restore(other) {
      state.set(other.words);
      next = other.next;
    },
  };
}
