import { UnsupportedError } from '../errors';

/** More pixels than sharp allows unasked, because a clip reaches it as one tall picture. */
export const MAX_PIXELS = 2 ** 31 - 1;

/**
 * The library that reads and writes pictures. It is loaded for the first of them: who only samples does without it.
 * @returns sharp's constructor
 * @throws UnsupportedError where it cannot be loaded, as on a platform that its binaries were not installed for
 */
export async function loadSharp(): Promise<typeof import('sharp').default> {
  try {
    return (await import('sharp')).default;
  } catch (cause) {
    throw new UnsupportedError('sharp, which reads and writes pictures, cannot be loaded.', {
      hint: 'Install the packages anew on this machine: the binaries of sharp are made for one platform.',
      cause,
    });
  }
}
