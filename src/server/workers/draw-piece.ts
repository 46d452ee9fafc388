import { draw, useOf } from '../../draw/draw';
import type { FullRequest } from '../../draw/request';
import { ErtaError } from '../../errors';
import { encodeMedia } from '../../media/encode';
import { LIMITS } from '../../media/limits';
import { frameSize, type Image, isClip, type Media } from '../../media/pixels';
import { imageOfBytes } from '../../media/read';
import type { Pipeline } from '../../sampling/pipeline';
import { faultOf, INVALID_IMAGE, Refusal } from '../jobs/faults';
import { type Piece, requestOfPiece } from '../jobs/order';
import type { Finished, PieceEvent } from '../jobs/runner';
import type { HeldModels } from './models';
import type { ServedPolicies } from './policies';

/** With what pieces are drawn. */
export interface Drawing {
  readonly models: HeldModels;
  readonly policies: ServedPolicies;
}

/** What a picture to begin with is called in receipts and errors. */
const PICTURE_NAME = 'image';

/**
 * Draws a piece and makes a file of it.
 * @throws ErtaError for a piece that cannot be drawn, Refusal for an uploaded file that is no picture, InterruptedError when it was stopped
 */
export async function drawPiece(
  { models, policies }: Drawing,
  piece: Piece,
  { signal, onEvent }: { readonly signal: AbortSignal; readonly onEvent: (event: PieceEvent) => void },
): Promise<Finished> {
  const asked = requestOfPiece(piece);
  const { dtype, variant, vaeTiling: tiling = false } = asked;
  const model = await models.take(asked.model, { dtype, variant, tiling });
  const side = Math.max(LIMITS.initSide, asked.size?.width ?? 0, asked.size?.height ?? 0);
  const init = piece.bytes && (await uploaded(piece.bytes, side));
  const sized = piece.seconds === undefined ? asked : withFrames(asked, piece.seconds, model);
  const request = piece.forwards === undefined ? sized : await budgeted(sized, piece.forwards, policies, model, init);
  const { fps } = model.info;
  const encoded = (media: Media, receipt?: unknown): Promise<Uint8Array> =>
    encodeMedia(media, piece.output.format, { fps, quality: piece.output.quality, receipt });
  const drawn = await draw(request, {
    model,
    policies,
    init,
    signal,
    onStep({ index, steps, forwards, cacheBytes }) {
      onEvent({ type: 'step', done: index + 1, total: steps, forwards, cacheBytes });
    },
    ...(piece.previews > 0 && {
      previews: {
        count: piece.previews,
        async show(media, index) {
          onEvent({ type: 'preview', index, bytes: await encoded(media), ...frameSize(media) });
        },
      },
    }),
  });
  const { media, receipt, seconds, textLoss } = drawn;
  return {
    bytes: await encoded(media, receipt),
    receipt,
    seconds,
    ...frameSize(media),
    ...(isClip(media) ? { frames: media.shape[0] as number, fps } : { frames: 1 }),
    unread: textLoss.map(({ encoder, unknown, dropped }) => ({ encoder, unknown: [...unknown], dropped })),
  };
}

/** The picture that was sent. Whatever is wrong with it is the fault of the request. */
async function uploaded(bytes: Uint8Array, side: number): Promise<Image> {
  try {
    return await imageOfBytes(PICTURE_NAME, bytes, side);
  } catch (error) {
    if (!ErtaError.isInstance(error) || !['io', 'unsupported', 'usage'].includes(error.code)) throw error;
    throw new Refusal(400, INVALID_IMAGE, faultOf(error).message, { param: 'image' });
  }
}

/** The request with the policy of a budget. */
async function budgeted(
  request: FullRequest,
  forwards: number,
  policies: ServedPolicies,
  model: Pipeline,
  init: Image | undefined,
): Promise<FullRequest> {
  return { ...request, policy: await policies.withBudget(useOf(request, { model, init }), forwards) };
}

/** Models draw some numbers of frames only: one that is so far from what was asked for is still taken. */
const FAR = 32;

/** The request with the number of frames that comes nearest to a length, of those that the model draws. */
function withFrames(request: FullRequest, seconds: number, model: Pipeline): FullRequest {
  const wanted = Math.max(1, Math.round(seconds * (model.info.fps ?? 1)));
  const { steps, guidance } = model.info.defaults;
  let refusal: unknown;
  for (let off = 0; off <= FAR; off++) {
    for (const frames of off === 0 ? [wanted] : [wanted - off, wanted + off]) {
      if (frames < 1) continue;
      const size = { ...request.size, frames };
      try {
        model.schedule({ steps: request.steps ?? steps, guidance: request.guidance ?? guidance, size });
        return { ...request, size };
      } catch (error) {
        if (!ErtaError.isInstance(error)) throw error;
        refusal ??= error;
      }
    }
  }
  throw refusal;
}
