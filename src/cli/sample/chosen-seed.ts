import { randomSeed, type Seed } from '../../random/seed';
import { tell } from '../say';

/** The seed that was asked for; one that nobody chose is told, so that the picture can be drawn again. */
export function chosenSeed(seed: Seed | 'random'): Seed {
  if (seed !== 'random') return seed;
  const drawn = randomSeed();
  tell(`seed ${drawn}\n`);
  return drawn;
}
