import { z } from 'zod';
import { activeKind } from '../engine/active-kind';
import { referenceSchema } from '../lab/compare/comparison';
import { answeredCellSchema, type FarArena } from '../lab/compare/far';
import { release } from '../nn/scope';
import { anyState, parseState, type State } from '../nn/state';
import type { PictureRequest } from '../sampling/at-size';
import type { PipelineInfo } from '../sampling/pipeline';
import { decodeFar, encodeFar, mediaOf, mediaState } from '../server/workers/far-call';
import type { FarName } from './far-model';
import type { Parts } from './parts';

const referencesSchema = z.object({ reference: z.string(), media: anyState });
const cellSchema = z.object({ cell: z.string() });

/** The workers of a queue as those who measure the parts of a comparison. */
export function farArena(
  { hash }: Pick<PipelineInfo, 'hash'>,
  { model, loading }: FarName,
  size: PictureRequest,
  parts: Parts,
  signal?: AbortSignal,
): FarArena {
  const target = { model, loading, hash, backend: activeKind() };
  const usual = JSON.stringify(size);
  const ask = async (question: State): Promise<State> =>
    decodeFar(await parts.ask(target, await encodeFar(question), signal));
  return {
    async references(request) {
      const answer = await ask({ kind: 'references', usual, asked: JSON.stringify(request) });
      const { reference, media } = parseState(referencesSchema, answer);
      return { reference: referenceSchema.parse(JSON.parse(reference)), media: await mediaOf(media) };
    },
    async cell(asked, pixels) {
      const sent = pixels?.map(mediaState) ?? null;
      try {
        const question = { kind: 'cell', usual, asked: JSON.stringify(asked), pixels: sent };
        const { cell } = parseState(cellSchema, await ask(question));
        return answeredCellSchema.parse(JSON.parse(cell));
      } finally {
        release(sent);
      }
    },
  };
}
