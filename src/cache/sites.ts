import * as tf from '@tensorflow/tfjs-core';
import { wrongArgument } from '../io/arguments';
import { release } from '../nn/scope';
import { type Evaluation, partsOf } from './evaluation';

/**
 * Where the residual is taken: `output` is the paper's definition, `v - x`; `hidden` is the residual of all blocks, as
 * the paper's implementation takes it; `velocity` reuses the output as it is.
 */
export type SiteName = 'hidden' | 'output' | 'velocity';

/** What a site keeps of a computed step, and how it rebuilds a later step from it. */
export interface Site {
  /** Its name in policies. */
  readonly name: SiteName;
  /**
   * Runs the model. Both tensors are the caller's.
   * @param evaluation the model at this latent and time
   * @returns the model's output, and what is kept of it
   */
  capture(evaluation: Evaluation): Promise<{ output: tf.Tensor; kept: tf.Tensor }>;
  /**
   * Rebuilds the output from what was kept, which stays the caller's, as does the result.
   * @param evaluation the model at this latent and time; at the site `hidden`, embedding and head are run
   * @param kept what a former step kept, or what was predicted from it
   * @returns the output; the caller disposes it
   */
  rebuild(evaluation: Evaluation, kept: tf.Tensor): tf.Tensor;
}

/** `r = v - x`: the definition of the ERTACache paper. With Euler steps it rebuilds a shrunken last velocity. */
const output: Site = {
  name: 'output',
  async capture(evaluation) {
    const out = await evaluation.compute();
    return { output: out, kept: tf.tidy(() => tf.sub(out, evaluation.sample)) };
  },
  rebuild: (evaluation, kept) => tf.tidy(() => tf.add(evaluation.sample, kept)),
};

/** `ṽ = v`: plain reuse of the output. */
const velocity: Site = {
  name: 'velocity',
  async capture(evaluation) {
    const out = await evaluation.compute();
    return { output: out, kept: out.clone() };
  },
  rebuild: (_evaluation, kept) => kept.clone(),
};

/** Residual of the token stream across all blocks; embedding and head see the current latent and time. */
const hidden: Site = {
  name: 'hidden',
  async capture(evaluation) {
    const parts = partsOf(evaluation, 'The site "hidden"');
    const stream = parts.embed();
    const tokens = await parts.blocks(stream);
    try {
      const out = parts.head(tokens);
      return { output: out, kept: tf.tidy(() => tf.sub(tokens.hidden, stream.tokens.hidden)) };
    } finally {
      release(tokens);
    }
  },
  rebuild(evaluation, kept) {
    const parts = partsOf(evaluation, 'The site "hidden"');
    const { tokens } = parts.embed();
    return tf.tidy(() => parts.head({ ...tokens, hidden: tf.add(tokens.hidden, kept) }));
  },
};

const sites: Readonly<Record<SiteName, Site>> = { hidden, output, velocity };

/** Every place where a residual can be taken. */
export const siteNames = Object.keys(sites) as SiteName[];

/**
 * The site of this name.
 * @param name `hidden`, `output` or `velocity`
 * @returns the site
 * @throws UsageError on another name
 */
export function site(name: SiteName): Site {
  if (!Object.hasOwn(sites, name)) throw wrongArgument('site', name, `one of ${siteNames.join(', ')}`);
  return sites[name];
}
