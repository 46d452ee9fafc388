import fc from 'fast-check';
import { ErtaError } from '../../src/errors';
import type { Target } from './targets';

const busySeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Longest message that a terminal should get. */
const LONGEST = 2000;

/** What is wrong with an error, as something that a user reads; nothing where nothing is. */
export function faultOf(error: unknown): string | undefined {
  if (!ErtaError.isInstance(error))
    return `not the library's own: ${error instanceof Error ? error.stack : String(error)}`;
  for (const sentence of [error.message, error.hint ?? '']) {
    if (sentence.length > LONGEST) return `a sentence of ${sentence.length} characters`;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    if (/[\u0000-\u001f\u007f]/.test(sentence)) return `a control character: ${JSON.stringify(sentence.slice(0, 200))}`;
  }
  return undefined;
}

/**
 * Runs a target on `count` broken inputs. The same seed gives the same inputs.
 * @param limit seconds of processor time that one input may take; other work on the machine does not count
 */
export async function fuzz({ inputs, run }: Target, count: number, seed: number, limit: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(inputs, async input => {
      const started = busySeconds();
      let fault: string | undefined;
      try {
        await run(input as never);
      } catch (error) {
        fault = faultOf(error);
      }
      if (fault) throw new Error(fault);
      const spent = busySeconds() - started;
      if (spent > limit) throw new Error(`it took ${spent.toFixed(1)} s`);
    }),
    { numRuns: count, seed, endOnFailure: true },
  );
}
