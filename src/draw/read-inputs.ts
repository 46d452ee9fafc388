import { UsageError } from '../errors';
import { fileHash } from '../io/file-hash';
import { frames, type Image } from '../media/pixels';
import { readMedia } from '../media/read';
import { readEmbeddings } from '../pipelines/embeddings-file';
import type { Embeddings } from '../sampling/embeddings';
import type { FullRequest } from './request';

/** The files that a request names, read, and the request with their hashes. */
export interface Inputs {
  readonly request: FullRequest;
  readonly init?: Image;
  readonly embeddings?: Embeddings;
}

/**
 * Reads the picture and the embeddings that a request draws on.
 * @throws UsageError for a file that is not the one whose hash the request gives
 */
export async function readInputs(request: FullRequest): Promise<Inputs> {
  const init = request.init && { ...request.init, sha256: await identity('init', request.init) };
  const embeddings = request.embeddings && {
    ...request.embeddings,
    sha256: await identity('embeddings', request.embeddings),
  };
  return {
    request: { ...request, ...(init && { init }), ...(embeddings && { embeddings }) },
    ...(init && { init: await stillPicture(init.path) }),
    ...(embeddings && { embeddings: await readEmbeddings(embeddings.path) }),
  };
}

async function stillPicture(path: string): Promise<Image> {
  const { pixels } = await readMedia(path);
  const [image, ...others] = frames(pixels);
  if (others.length === 0) return image!;
  throw new UsageError(`${path} holds ${others.length + 1} frames, and a run begins with one picture.`, {
    hint: 'Begin with a still picture.',
  });
}

async function identity(
  role: string,
  { path, sha256 }: { path: string; sha256?: string | undefined },
): Promise<string> {
  const found = await fileHash(path);
  if (sha256 === undefined || sha256 === found) return found;
  throw new UsageError(`${path} is no longer the file that the picture was made with.`, {
    hint: `Put it back as it was, or name its copy as ${role}.`,
  });
}
