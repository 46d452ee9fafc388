import type { Context } from 'hono';
import type { Fault } from '../jobs/faults';
import type { Job, JobResult } from '../jobs/job';
import { byteRange } from './range';

/** Seconds since 1970, as the interface has times. */
export const seconds = (ms: number): number => Math.floor(ms / 1000);

/** What is told of a picture or clip beside its bytes. */
export function resultFacts({ receipt, seconds, width, height, frames, fps, unread, discarded }: JobResult) {
  const { seed, steps, schedule, forwards } = receipt;
  return {
    seed,
    steps,
    schedule,
    forwards,
    ...(discarded !== undefined && { discarded }),
    seconds: Number(seconds.toFixed(3)),
    size: `${width}x${height}`,
    ...(frames > 1 && { frames, fps }),
    ...(unread.length > 0 && { unread }),
    receipt,
  };
}

/** Addresses of kept files. */
export type FileUrl = (job: Job, name: string) => string;

/** A job as `/v1/jobs` tells of it. */
export function jobAnswer(job: Job, progress: number, url: FileUrl, keepMs: number) {
  return {
    id: job.id,
    object: 'job',
    kind: job.kind,
    status: job.status,
    progress,
    model: job.order.request.model,
    created_at: seconds(job.created),
    started_at: job.started === undefined ? null : seconds(job.started),
    completed_at: job.finished === undefined ? null : seconds(job.finished),
    expires_at: expiry(job, keepMs),
    error: job.error ?? null,
    data: job.results.map(result => ({ url: url(job, result.name), ...resultFacts(result) })),
  };
}

/** A job as `/v1/videos` tells of it: a cancelled one has failed there. */
export function videoAnswer(job: Job, progress: number, url: FileUrl, keepMs: number) {
  const [result] = job.results;
  const { request, seconds: asked } = job.order;
  const length = result?.fps ? result.frames / result.fps : asked;
  return {
    id: job.id,
    object: 'video',
    status: job.status === 'cancelled' ? 'failed' : job.status,
    progress,
    model: request.model,
    prompt: request.prompt,
    created_at: seconds(job.created),
    completed_at: job.status === 'completed' && job.finished !== undefined ? seconds(job.finished) : null,
    expires_at: expiry(job, keepMs),
    error: job.error ?? null,
    seconds: length === undefined ? null : String(Number(length.toFixed(3))),
    size: result ? `${result.width}x${result.height}` : null,
    remixed_from_video_id: null,
    ...(result && { url: url(job, result.name), ...withoutSeconds(resultFacts(result)) }),
  };
}

/** `seconds` is the length of the clip there, so the time that it took has another name. */
function withoutSeconds({ seconds: drawSeconds, ...facts }: ReturnType<typeof resultFacts>) {
  return { ...facts, draw_seconds: drawSeconds };
}

const expiry = ({ finished }: Job, keepMs: number): number | null =>
  finished === undefined ? null : seconds(finished + keepMs);

const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  429: 'rate_limit_error',
};

/** An error as the interface has it. */
export function errorAnswer(status: number, { code, message }: Fault, param?: string | undefined) {
  const type = TYPES[status] ?? (status >= 500 ? 'server_error' : 'invalid_request_error');
  return { error: { message, type, param: param ?? null, code } };
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  gif: 'image/gif',
  mp4: 'video/mp4',
};

/** A kept file, or the part of it that is asked for: some browsers play clips by parts alone. */
export function fileAnswer(c: Context, name: string, bytes: Uint8Array): Response {
  const extension = name.split('.').at(-1) as string;
  // Files have no mark that a range could depend on, and only what is got has parts.
  const asked = c.req.method === 'GET' && c.req.header('if-range') === undefined ? c.req.header('range') : undefined;
  const range = byteRange(asked, bytes.length);
  if (range === null) {
    const message = `The file has ${bytes.length} bytes, and none in the range that is asked for.`;
    const headers = { 'content-range': `bytes */${bytes.length}` };
    return c.json(errorAnswer(416, { code: 'invalid_range', message }), 416, headers);
  }
  const part = range ? bytes.subarray(range.first, range.last + 1) : bytes;
  return new Response(Buffer.from(part), {
    status: range ? 206 : 200,
    headers: {
      'content-type': CONTENT_TYPES[extension] ?? 'application/octet-stream',
      'content-length': String(part.length),
      'content-disposition': `inline; filename="${name}"`,
      'cache-control': 'private, immutable, max-age=3600',
      'accept-ranges': 'bytes',
      ...(range && { 'content-range': `bytes ${range.first}-${range.last}/${bytes.length}` }),
    },
  });
}
