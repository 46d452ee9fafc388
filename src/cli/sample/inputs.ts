import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Receipt } from '../../draw/receipt';
import { UsageError } from '../../errors';
import { readError } from '../../io/system-error';
import { frames, imageSize } from '../../media/pixels';
import { readMedia } from '../../media/read';
import { readEmbeddings } from '../../pipelines/embeddings-file';
import type { Embeddings } from '../../sampling/embeddings';
import type { InitialPicture } from '../../sampling/pipeline';

/** Files that a run draws on, and what its receipt says of them. */
export interface Inputs {
  readonly init?: InitialPicture;
  readonly embeddings?: Embeddings;
  readonly receipt: Pick<Receipt, 'init' | 'embeddings'>;
}

export interface InputOptions {
  readonly init?: string;
  readonly strength: number;
  readonly embeddings?: string;
}

/**
 * Reads the picture and the embeddings that a run draws on.
 * @param expected what a receipt says of them: files that have changed since are refused
 */
export async function readInputs(
  { init, strength, embeddings }: InputOptions,
  expected: Pick<Receipt, 'init' | 'embeddings'> = {},
): Promise<Inputs> {
  const picture = init === undefined ? undefined : await initialPicture(init, strength);
  const texts = embeddings === undefined ? undefined : await readEmbeddings(embeddings);
  const receipt = {
    ...(init !== undefined && { init: { path: init, sha256: await sha256(init), strength } }),
    ...(embeddings !== undefined && { embeddings: { path: embeddings, sha256: await sha256(embeddings) } }),
  };
  for (const name of ['init', 'embeddings'] as const) {
    const [wanted, found] = [expected[name], receipt[name]];
    if (!wanted || wanted.sha256 === found?.sha256) continue;
    throw new UsageError(`${wanted.path} is not the file that the picture was made with any more.`, {
      hint: `Put it back as it was, or name its copy with --${name}.`,
    });
  }
  return { ...(picture && { init: picture }), ...(texts && { embeddings: texts }), receipt };
}

async function initialPicture(path: string, strength: number): Promise<InitialPicture> {
  const { pixels } = await readMedia(path);
  const [image, ...others] = frames(pixels);
  if (others.length > 0) {
    throw new UsageError(`${path} holds ${others.length + 1} frames, and a run begins with one picture.`, {
      hint: 'Give a still picture as --init.',
    });
  }
  return { image: image!, strength };
}

async function sha256(path: string): Promise<string> {
  const bytes = await readFile(path).catch(error => {
    throw readError(path, error);
  });
  return createHash('sha256').update(bytes).digest('hex');
}

/** A word on pictures whose proportions are not kept. */
export function stretchNote(init: InitialPicture, drawn: { width: number; height: number }): string | undefined {
  const { width, height } = imageSize(init.image);
  const ratio = (width * drawn.height) / (height * drawn.width);
  // Cutting to a multiple of the model's patch changes proportions by a little.
  if (ratio > 0.95 && ratio < 1.05) return undefined;
  return `The picture of ${width} × ${height} is stretched to ${drawn.width} × ${drawn.height}.\n`;
}
