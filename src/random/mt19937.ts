const SIZE = 624;
const SHIFT = 397;

/**
 * The 32-bit Mersenne Twister (Matsumoto and Nishimura, 1998), seeded as `init_genrand` does.
 * @param seed taken modulo 2³²
 * @returns a function that gives the next output in [0, 2³²)
 */
export function mt19937(seed: number): () => number {
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

  return () => {
    if (next === SIZE) refill();
    let y = state[next++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
}
