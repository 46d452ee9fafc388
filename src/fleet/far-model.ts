import type { Tensor } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { activeKind } from '../engine/active-kind';
import { parseState, type State, tensorState } from '../nn/state';
import { elsewhere, type FarCalls } from '../sampling/elsewhere';
import type { Pipeline } from '../sampling/pipeline';
import { decodeFar, encodeFar, mediaOf, requestState } from '../server/workers/far-call';
import type { FarTarget } from '../server/workers/far-target';
import type { Tokens } from '../transformer/denoiser';
import type { Parts } from './parts';

const outputsSchema = z.object({ outputs: z.array(tensorState) });
const tokensSchema = z.object({ hidden: tensorState, context: tensorState.optional() });

/** What workers call a model, and how it is loaded there. */
export type FarName = Pick<FarTarget, 'model' | 'loading' | 'lpips'>;

/** The same pipeline, whose forward passes and decoding are made by the workers of a queue. */
export function farPipeline(pipeline: Pipeline, { lpips: _, ...name }: FarName, parts: Parts): Pipeline {
  const target: FarTarget = { ...name, hash: pipeline.info.hash, backend: activeKind() };
  const ask = async (question: State, signal: AbortSignal | undefined): Promise<State> =>
    decodeFar(await parts.ask(target, await encodeFar(question), signal));
  const call = (kind: string, { request, signal, ...point }: Omit<FarCalls, 'branches'>): Promise<State> =>
    ask({ kind, request: requestState(request), ...point }, signal);
  return elsewhere(pipeline, {
    forward: async (asked): Promise<Tensor[]> => parseState(outputsSchema, await call('forward', asked)).outputs,
    async blocks(asked): Promise<Tokens> {
      const { hidden, context } = parseState(tokensSchema, await call('blocks', asked));
      return { hidden, ...(context && { context }) };
    },
    about: (request, question, signal) => ask({ ...question, request: requestState(request) }, signal),
    async decode(latents, size, { signal } = {}) {
      const question = { kind: 'decode', latents, ...(size && { size: { ...size } }) };
      return mediaOf(await ask(question, signal));
    },
  });
}
