import { PolicyError } from '../errors';
import { splitTerm } from './by-guidance';
import type { RunInfo } from './policy';
import type { Combination, Rectification } from './rectify';

/** What a combination may weigh besides the parts of outputs: the latent, and one. */
const PLAIN_TERMS: readonly string[] = ['one', 'sample'];

/** A term that is part of an output, and of which: `conditional.2` of the second before. */
interface AgedTerm {
  readonly part: string;
  readonly age: number;
}

/** What a term names; nothing where it is none that there could be. */
export function agedTerm(term: string): AgedTerm | undefined {
  const [, part, age] = /^([a-z][a-zA-Z]*)\.(0|[1-9]\d{0,3})$/.exec(term) ?? [];
  return part === undefined ? undefined : { part, age: Number(age) };
}

/**
 * Checks a rectification against its schedule: a term of another name would be left out without a word, and change the
 * picture.
 * @param where how errors call the policy
 * @throws PolicyError naming the step and what is wrong there
 */
export function checkRectification(rectify: Rectification, reused: readonly boolean[], where = 'The policy'): void {
  if (rectify.form === 'off') return;
  const wrong = (fault: string): PolicyError =>
    new PolicyError(`${where} contradicts itself: ${fault}.`, { hint: 'Calibrate it again.' });
  if (rectify.steps.length !== reused.length) {
    throw wrong(`it corrects ${rectify.steps.length} steps, and its schedule has ${reused.length}`);
  }
  let computed = 0;
  for (const [i, reuse] of reused.entries()) {
    const step = rectify.steps[i];
    const told: Wrong = fault => wrong(`at step ${i + 1} its correction ${fault}`);
    if (step && rectify.form === 'lsq') checkTerms(step as Combination, computed, told);
    if (rectify.form !== 'lsq') checkAffine(rectify.steps[i] ?? null, rectify, told);
    if (!reuse) computed++;
  }
}

function checkTerms(weights: Combination, computed: number, wrong: Wrong): void {
  for (const [name, weight] of Object.entries(weights)) {
    const { term } = splitTerm(name);
    if (!Number.isFinite(weight)) throw wrong(`weighs ${quoted(name)} by ${weight}`);
    if (PLAIN_TERMS.includes(term)) continue;
    const aged = agedTerm(term);
    if (!aged) throw wrong(`weighs ${quoted(name)}, and there is no such term`);
    if (weight !== 0 && aged.age > computed) {
      throw wrong(`looks back ${aged.age} computed steps, and there are ${computed} before it`);
    }
  }
}

type AffineForm = Extract<Rectification, { form: 'linear' | 'sigmoid' }>;

function checkAffine(step: AffineForm['steps'][number], { channelAxis }: AffineForm, wrong: Wrong): void {
  if (!Number.isInteger(channelAxis) || channelAxis < 0) {
    throw wrong(`runs along axis ${channelAxis}, and axes are whole numbers from 0`);
  }
  if (step === null) return;
  const { K, B } = step;
  if (K.length === 0 || K.length !== B.length || ![...K, ...B].every(Number.isFinite)) {
    throw wrong(`needs as many finite values of K as of B, and has ${K.length} and ${B.length}`);
  }
}

/**
 * Checks a rectification against the run that it is to correct: the parts that guidance has, and the latent's channels.
 * What a run does not tell is not checked.
 * @throws PolicyError saying what does not fit
 */
export function requireCorrects(rectify: Rectification, { parts, shape, channelAxis }: RunInfo): void {
  if (rectify.form === 'off') return;
  if (rectify.form === 'lsq') {
    if (!parts) return;
    const terms = new Set(rectify.steps.flatMap(step => Object.keys(step ?? {})));
    const foreign = [...terms].find(term => !PLAIN_TERMS.includes(term) && !parts.includes(agedTerm(term)?.part ?? ''));
    if (foreign === undefined) return;
    throw foreignTo(
      `The policy weighs ${quoted(foreign)}, and the outputs of this run have the parts ${parts.join(', ')}.`,
    );
  }
  if (!shape) return;
  const { channelAxis: axis, steps } = rectify;
  if (axis >= shape.length) {
    throw foreignTo(
      `The policy's channels lie along axis ${axis}, and the latent [${shape}] has ${shape.length} axes.`,
    );
  }
  const wide = steps.find(step => step && step.K.length !== 1);
  if (!wide) return;
  if (channelAxis !== undefined && axis !== channelAxis) {
    throw foreignTo(`The policy's channels lie along axis ${axis}, and those of this model along axis ${channelAxis}.`);
  }
  const width = steps.find(step => step && step.K.length !== 1 && step.K.length !== shape[axis])?.K.length;
  if (width === undefined) return;
  throw foreignTo(
    `The policy corrects ${width} channels, and the latent [${shape}] has ${shape[axis]} along axis ${axis}.`,
  );
}

/** Names come from files that anyone may have written. */
const quoted = (term: string): string => JSON.stringify(term.length > 40 ? `${term.slice(0, 40)}…` : term);

type Wrong = (fault: string) => PolicyError;

function foreignTo(message: string): PolicyError {
  return new PolicyError(message, { hint: 'Calibrate a policy for this model and this guidance.' });
}
