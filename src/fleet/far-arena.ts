import { z } from 'zod';
import { type Sight, type Sightings, sightingsSchema } from '../calibration/baselines';
import { activeKind } from '../engine/active-kind';
import { referenceSchema } from '../lab/compare/comparison';
import { answeredPartSchema, type FarArena } from '../lab/compare/far';
import { release } from '../nn/scope';
import { anyState, parseState, type State } from '../nn/state';
import type { PictureRequest } from '../sampling/at-size';
import type { BatchRequest, PipelineInfo } from '../sampling/pipeline';
import { decodeFar, encodeFar, mediaOf, mediaState, requestState } from '../server/workers/far-call';
import type { FarName } from './far-model';
import type { Parts } from './parts';

const referencesSchema = z.object({ reference: z.string(), media: anyState });
const partSchema = z.object({ part: z.string() });

/** The workers of a queue as those who run requests uncached, and say what they show. */
export function farSight(
  { hash }: Pick<PipelineInfo, 'hash'>,
  { lpips: _, ...name }: FarName,
  size: PictureRequest,
  parts: Parts,
): (request: BatchRequest, wanted: readonly Sight[], signal?: AbortSignal) => Promise<Sightings> {
  const target = { ...name, hash, backend: activeKind() };
  const usual = JSON.stringify(size);
  return async (request, wanted, signal) => {
    const question = { kind: 'sight', usual, request: requestState(request), wanted };
    return parseState(sightingsSchema, decodeFar(await parts.ask(target, await encodeFar(question), signal)));
  };
}

/** The workers of a queue as those who measure the parts of a comparison. */
export function farArena(
  { hash }: Pick<PipelineInfo, 'hash'>,
  name: FarName,
  size: PictureRequest,
  parts: Parts,
  signal?: AbortSignal,
): FarArena {
  const target = { ...name, hash, backend: activeKind() };
  const usual = JSON.stringify(size);
  const sight = farSight({ hash }, name, size, parts);
  const ask = async (question: State): Promise<State> =>
    decodeFar(await parts.ask(target, await encodeFar(question), signal));
  return {
    async references(request) {
      const answer = await ask({ kind: 'references', usual, asked: JSON.stringify(request) });
      const { reference, media } = parseState(referencesSchema, answer);
      return { reference: referenceSchema.parse(JSON.parse(reference)), media: await mediaOf(media) };
    },
    sight: (request, wanted) => sight(request, wanted, signal),
    async part(asked, pixels) {
      const sent = pixels ? mediaState(pixels) : null;
      try {
        const question = { kind: 'part', usual, asked: JSON.stringify(asked), pixels: sent };
        const { part } = parseState(partSchema, await ask(question));
        return answeredPartSchema.parse(JSON.parse(part));
      } finally {
        release(sent);
      }
    },
  };
}
