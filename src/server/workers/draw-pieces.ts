import { type Drawn, drawBatch } from '../../draw/draw';
import { publicReceipt, type Receipt } from '../../draw/receipt';
import type { FullRequest } from '../../draw/request';
import { ErtaError } from '../../errors';
import { encodeMedia } from '../../media/encode';
import { LIMITS } from '../../media/limits';
import { frameSize, type Image, isClip, type Media } from '../../media/pixels';
import { imageOfBytes } from '../../media/read';
import type { PolicySource } from '../../policy/source';
import type { CheckpointStore } from '../../sampling/checkpoint';
import type { Pipeline } from '../../sampling/pipeline';
import { faultOf, INVALID_IMAGE, Refusal } from '../jobs/faults';
import { type Piece, requestOfPiece } from '../jobs/order';
import type { Finished, PieceEvent } from '../jobs/runner';
import type { HeldModels } from './models';

/** With what pieces are drawn. */
export interface Drawing {
  readonly models: HeldModels;
  readonly policies: PolicySource;
  /** What receipts call models, where that is another name than requests do. */
  readonly publicNames?: Readonly<Record<string, string>> | undefined;
}

/** What a picture to begin with is called in receipts and errors. */
const PICTURE_NAME = 'image';

/** Who is told of a batch, and who may stop it. */
interface Watch {
  readonly signal: AbortSignal;
  /** Told of a step of all rows. */
  readonly onStep: (event: Extract<PieceEvent, { type: 'step' }>) => void;
  readonly onPreview: (row: number, event: Extract<PieceEvent, { type: 'preview' }>) => void;
  readonly checkpoint?: CheckpointStore | undefined;
}

/**
 * Draws pieces of one `batchKey` as one batch.
 * @returns for each piece, what makes a file of it
 * @throws ErtaError for pieces that cannot be drawn, Refusal for an uploaded file that is no picture, InterruptedError when they were stopped
 */
export async function drawPieces(
  { models, policies, publicNames = {} }: Drawing,
  pieces: readonly Piece[],
  { signal, onStep, onPreview, checkpoint }: Watch,
): Promise<(() => Promise<Finished>)[]> {
  const first = pieces[0] as Piece;
  const asked = requestOfPiece(first);
  const { dtype, variant, vaeTiling: tiling = false, loras } = asked;
  const model = await models.take(asked.model, { dtype, variant, tiling, loras });
  const side = Math.max(LIMITS.initSide, asked.size?.width ?? 0, asked.size?.height ?? 0);
  const init = first.bytes && (await uploaded(first.bytes, side));
  const sized = first.seconds === undefined ? asked : withFrames(asked, first.seconds, model);
  const { fps } = model.info;
  const encoded = (media: Media, { output }: Piece, receipt?: unknown): Promise<Uint8Array> =>
    encodeMedia(media, output.format, { fps, quality: output.quality, receipt });
  const { size, policy } = sized;
  const drawn = await drawBatch(
    pieces.map(requestOfPiece).map(each => ({ ...each, size, policy })),
    {
      model,
      policies,
      init,
      signal,
      checkpoint,
      onStep({ index, steps, forwards, cacheBytes }) {
        onStep({ type: 'step', done: index + 1, total: steps, forwards, cacheBytes });
      },
      ...(first.previews > 0 && {
        previews: {
          count: first.previews,
          async show(media, index, row) {
            const bytes = await encoded(media, pieces[row] as Piece);
            onPreview(row, { type: 'preview', index, bytes, ...frameSize(media) });
          },
        },
      }),
    },
  );
  /** Found again on the command line of whoever has the model. */
  const findable = (receipt: Receipt): Receipt => ({
    ...receipt,
    model: { ...receipt.model, path: publicNames[asked.model] ?? receipt.model.path },
  });
  const finished = async ({ media, seconds, textLoss, discarded, ...made }: Drawn, row: number): Promise<Finished> => {
    const receipt = publicReceipt(findable(made.receipt));
    return {
      bytes: await encoded(media, pieces[row] as Piece, receipt),
      receipt,
      seconds,
      ...frameSize(media),
      ...(isClip(media) ? { frames: media.shape[0] as number, fps } : { frames: 1 }),
      ...(discarded !== undefined && { discarded }),
      unread: textLoss.map(({ encoder, unknown, dropped }) => ({ encoder, unknown: [...unknown], dropped })),
    };
  };
  return drawn.map((each, row) => () => finished(each, row));
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
