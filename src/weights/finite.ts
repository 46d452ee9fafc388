import { CheckpointError } from '../errors';

/** Index of the first NaN or infinity, or -1. */
export function firstNonFinite(values: Float32Array): number {
  // Zero times a finite number is zero, and times NaN or infinity NaN: one sum shows whether to look closer.
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0;
  return Number.isNaN(sum) ? values.findIndex(value => !Number.isFinite(value)) : -1;
}

/**
 * @param offset index in the tensor of the first of `values`, when they are a part of it
 * @throws CheckpointError `non_finite`
 */
export function checkFinite(values: Float32Array, name: string, where: string, offset = 0): void {
  const index = firstNonFinite(values);
  if (index < 0) return;
  const message = `${name} in ${where} holds ${values[index]} (element ${offset + index}).`;
  throw new CheckpointError('non_finite', message, {
    hint: 'The checkpoint is damaged or was saved after its training had diverged; take another one.',
  });
}
