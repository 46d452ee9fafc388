import { IoError, UsageError } from '../../errors';
import { aws4fetch } from '../packages';
import type { FileStore } from './store';

/** So many times a request is made that fails for reasons of the server. */
const RETRIES = 4;

/**
 * Objects in a bucket of S3 or of what speaks like it (MinIO, R2, Ceph): one request an object, so that it is there whole.
 * @param place `s3://bucket/prefix`
 * @param env the variables that AWS's own tools read: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,
 *   AWS_REGION, and AWS_ENDPOINT_URL for a server of one's own
 * @throws UsageError where keys are missing
 */
export async function s3Store(place: string, env: NodeJS.ProcessEnv = process.env): Promise<FileStore> {
  const [, bucket, prefix = ''] = /^s3:\/\/([a-z0-9.-]{3,63})(?:\/([\w./-]*?))?\/?$/.exec(place) ?? [];
  if (bucket === undefined) throw new UsageError(`${place} names no bucket.`, { hint: 'Write s3://bucket/prefix.' });
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_REGION: region } = env;
  if (!accessKeyId || !secretAccessKey) {
    throw new UsageError(`There are no keys for ${place}.`, {
      hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
    });
  }
  const { AwsClient } = await aws4fetch();
  const client = new AwsClient({
    accessKeyId,
    secretAccessKey,
    ...(env.AWS_SESSION_TOKEN && { sessionToken: env.AWS_SESSION_TOKEN }),
    service: 's3',
    region: region ?? 'us-east-1',
    retries: RETRIES,
  });
  const host = env.AWS_ENDPOINT_URL ?? `https://s3.${region ?? 'us-east-1'}.amazonaws.com`;
  const base = `${host.replace(/\/$/, '')}/${bucket}/${prefix === '' ? '' : `${prefix}/`}`;

  const brokenOff = (cause: unknown): IoError =>
    new IoError(`${place} cannot be reached.`, { cause, hint: 'Look at AWS_ENDPOINT_URL and the network.' });

  async function ask(method: string, name: string, body?: Uint8Array): Promise<Response> {
    let response: Response;
    try {
      response = await client.fetch(base + name, { method, ...(body && { body: Buffer.from(body) }) });
    } catch (cause) {
      throw brokenOff(cause);
    }
    if (response.ok || response.status === 404) return response;
    const [, code] = /<Code>(\w{1,60})<\/Code>/.exec(await response.text()) ?? [];
    throw new IoError(`${place} answers ${response.status}${code ? ` (${code})` : ''} to ${method}.`, {
      hint: 'Look at the keys and what they may do.',
    });
  }

  return {
    shown: place,
    async get(name) {
      const response = await ask('GET', name);
      if (!response.ok) return undefined;
      const bytes = await response.arrayBuffer().catch(cause => Promise.reject(brokenOff(cause)));
      return new Uint8Array(bytes);
    },
    async put(name, bytes) {
      const { status } = await ask('PUT', name, bytes);
      if (status === 404) throw new IoError(`${place} is not there.`, { hint: 'Make the bucket first.' });
    },
    has: async name => (await ask('HEAD', name)).ok,
    remove: async name => void (await ask('DELETE', name)),
  };
}
