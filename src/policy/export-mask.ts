import type { Policy } from './data';

/** Programs that take a schedule as a mask over steps. */
export const maskFormats = ['cache-dit', 'sd.cpp'] as const;
export type MaskFormat = (typeof maskFormats)[number];

/** 1 where a step is computed, 0 where it may be reused. */
export function maskOf(schedule: string): number[] {
  return [...schedule].map(step => (step === '#' ? 1 : 0));
}

/**
 * A policy's schedule in the words of another program: for cache-dit the list that `steps_computation_mask` takes, for
 * stable-diffusion.cpp the options of its command line.
 */
export function exportMask({ data }: Policy, format: MaskFormat): string {
  const mask = maskOf(data.schedule);
  switch (format) {
    case 'cache-dit':
      return `[${mask.join(', ')}]`;
    case 'sd.cpp':
      return `--cache-mode cache-dit --scm-mask ${mask.join(',')} --scm-policy static`;
  }
}

/** Where an exported mask goes, and what of the policy it does not hold. */
export function maskAdvice({ data }: Policy, format: MaskFormat): string {
  const steps = data.schedule.length;
  const use =
    format === 'cache-dit'
      ? `For DBCacheConfig(num_inference_steps=${steps}, steps_computation_mask=…, steps_computation_policy="static").`
      : `Add --steps ${steps}: the mask has one entry a step.`;
  const lost = [
    data.timestep.form !== 'off' && 'timestep adjustment',
    data.rectify.form !== 'off' && 'rectification',
    data.taylor > 0 && 'extrapolation',
  ].filter(part => part !== false);
  return lost.length === 0 ? use : `${use} The policy's ${lost.join(' and ')} cannot be told by a mask and is lost.`;
}
