import { UsageError } from '../errors';
import { fileHash } from '../io/file-hash';
import { LIMITS } from '../media/limits';
import type { Image } from '../media/pixels';
import { readImage } from '../media/read';
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
 * Reads the picture and the embeddings that a request draws on, and the hashes of its transformers' files. A large picture
 * is shrunk while it is decoded.
 * @throws UsageError for a file that is not the one whose hash the request gives
 */
export async function readInputs(request: FullRequest): Promise<Inputs> {
  const init = request.init && { ...request.init, sha256: await identity('init', request.init, LIMITS.bytes) };
  const embeddings = request.embeddings && {
    ...request.embeddings,
    sha256: await identity('embeddings', request.embeddings, MOST_EMBEDDINGS),
  };
  const [transformer, transformer2] = [
    request.transformer && { ...request.transformer, sha256: await identity('transformer', request.transformer) },
    request.transformer2 && { ...request.transformer2, sha256: await identity('transformer2', request.transformer2) },
  ];
  return {
    request: {
      ...request,
      ...(transformer && { transformer }),
      ...(transformer2 && { transformer2 }),
      ...(init && { init }),
      ...(embeddings && { embeddings }),
    },
    ...(init && { init: await readImage(init.path, sideFor(request)) }),
    ...(embeddings && { embeddings: await readEmbeddings(embeddings.path) }),
  };
}

/** Embeddings of hundreds of prompts are smaller. */
const MOST_EMBEDDINGS = 2 ** 34;

/** No picture needs more detail than what is drawn of it. */
function sideFor({ size }: FullRequest): number {
  return Math.max(LIMITS.initSide, size?.width ?? 0, size?.height ?? 0);
}

async function identity(
  role: string,
  { path, sha256 }: { path: string; sha256?: string | undefined },
  most?: number,
): Promise<string> {
  const found = await fileHash(path, most);
  if (sha256 === undefined || sha256 === found) return found;
  throw new UsageError(`${path} is no longer the file that the picture was made with.`, {
    hint: `Put it back as it was, or name its copy as ${role}.`,
  });
}
