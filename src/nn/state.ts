import { Tensor } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { UsageError } from '../errors';

/** What is kept between two steps of a run: plain values and tensors, nested as they are. */
export type State = Tensor | number | string | boolean | null | readonly State[] | { readonly [name: string]: State };

/** A part of a run that another process can take up where this one has left it. */
export interface Resumable {
  /**
   * What it keeps between two steps.
   * @returns plain values and tensors; the tensors stay its own
   */
  state(): State;
  /**
   * Takes up where another one was, instead of at the beginning.
   * @param state what `state` of that one returned; its tensors stay the caller's
   * @throws UsageError for what `state` cannot have returned
   */
  restore(state: State): void;
}

/** A part of a run that can perhaps be taken up where it was left. */
export interface Keeper {
  /**
   * What it keeps between two steps.
   * @returns plain values and tensors; the tensors stay its own
   */
  state?(): State;
  /**
   * Takes up where another one was, instead of at the beginning.
   * @param state what `state` of that one returned; its tensors stay the caller's
   * @throws UsageError for what `state` cannot have returned
   */
  restore?(state: State): void;
}

/** Whether it can be taken up where it was left. */
export const isResumable = (part: Keeper): part is Keeper & Resumable =>
  part.state !== undefined && part.restore !== undefined;

/** Of what keeps nothing between two steps. */
export const stateless: Resumable = { state: () => null, restore() {} };

/** A tensor in a state. */
export const tensorState = z.instanceof(Tensor);

/** The state of another part, which checks it itself. */
export const anyState = z.custom<State>(state => state !== undefined);

/**
 * A state, checked: it may come from a file.
 * @param form what it has to be
 * @param state what `restore` was given
 * @returns the state
 * @throws UsageError for a state that is not of this form
 */
export function parseState<T>(form: z.ZodType<T>, state: State): T {
  const parsed = form.safeParse(state);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UsageError(`The state of another run was given: ${issue?.path.join('.') || 'it'}: ${issue?.message}.`, {
    hint: 'Begin this run anew.',
  });
}
