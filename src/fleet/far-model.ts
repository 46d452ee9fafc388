import type { Tensor } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { activeKind } from '../engine/active-kind';
import { parseState, type State, tensorState } from '../nn/state';
import { elsewhere } from '../sampling/elsewhere';
import type { Pipeline } from '../sampling/pipeline';
import { decodeFar, encodeFar, mediaOf, requestState } from '../server/workers/far-call';
import type { FarTarget } from '../server/workers/far-target';
import type { Parts } from './parts';

const outputSchema = z.object({ output: tensorState });

/** What workers call a model, and how it is loaded there. */
export type FarName = Pick<FarTarget, 'model' | 'loading'>;

/** The same pipeline, whose forward passes and decoding are made by the workers of a queue. */
export function farPipeline(pipeline: Pipeline, { model, loading }: FarName, parts: Parts): Pipeline {
  const target: FarTarget = { model, loading, hash: pipeline.info.hash, backend: activeKind() };
  const ask = async (question: State, signal: AbortSignal | undefined): Promise<State> =>
    decodeFar(await parts.ask(target, await encodeFar(question), signal));
  return elsewhere(pipeline, {
    async forward({ request, branch, timestep, sample, signal }): Promise<Tensor> {
      const question = { kind: 'forward', request: requestState(request), branch, timestep, sample };
      return parseState(outputSchema, await ask(question, signal)).output;
    },
    async decode(latents, size, { signal } = {}) {
      const question = { kind: 'decode', latents, ...(size && { size: { ...size } }) };
      return mediaOf(await ask(question, signal));
    },
  });
}
