import { z } from 'zod';
import { PolicyError } from '../errors';

/** What of a run's guidance its strength does not say, as far as it is not as usual for the model. */
export const steering = z.object({
  /** Strength of true guidance, where the model is told another one as well. */
  trueCfgScale: z.number().optional(),
  /** Strength of guidance of the second model. */
  guidance2: z.number().optional(),
  /** From and to which share of the way from noise to picture guidance acts. */
  interval: z.tuple([z.number(), z.number()]).readonly().optional(),
});

type Steering = z.infer<typeof steering>;

/** The option that asks for a setting, and what a run is like with it, and without. */
const SETTINGS: Readonly<Record<keyof Steering, readonly [option: string, run: (value?: unknown) => string]>> = {
  trueCfgScale: [
    '--true-cfg-scale',
    scale => (scale === undefined ? 'without true guidance' : `with true guidance ${scale}`),
  ],
  guidance2: [
    '--guidance-2',
    scale => (scale === undefined ? 'guided alike by both experts' : `with guidance ${scale} of the second expert`),
  ],
  interval: [
    '--guidance-interval',
    within => (within === undefined ? 'guided where the model usually is' : `guided within ${within} of the way`),
  ],
};

/**
 * Refuses a policy for a run that is guided in another way, though as strongly.
 * @throws PolicyError naming what differs
 */
export function requireSameSteering(theirs: Steering = {}, ours: Steering = {}): void {
  for (const [field, [option, run]] of Object.entries(SETTINGS) as [keyof Steering, (typeof SETTINGS)['interval']][]) {
    const [then, now] = [theirs[field], ours[field]];
    if (String(then) === String(now)) continue;
    throw new PolicyError(`The policy was calibrated on runs ${run(then)}, and this run is ${run(now)}.`, {
      hint:
        then === undefined
          ? `Omit ${option}, or calibrate with it.`
          : `Run with ${option} ${then}, or calibrate another with \`ertacache calibrate\`.`,
    });
  }
}
