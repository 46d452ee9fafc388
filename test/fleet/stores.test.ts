import { execFileSync } from 'node:child_process';
import { queueAddress } from '../../src/fleet/address';
import { openQueue } from '../../src/fleet/queue';
import { folderStore } from '../../src/fleet/store/folder';
import { s3Store } from '../../src/fleet/store/s3';
import type { FileStore } from '../../src/fleet/store/store';
import { scratchFolder } from '../media/pictures';
import { describeWithRedis, freePort, startRedis } from '../support/redis';

const scratch = scratchFolder();

/** What every store does. */
async function behaves(store: FileStore): Promise<void> {
  const bytes = Buffer.from([0, 255, 1, 10, 13]);
  expect(await store.get('a.png')).toBeUndefined();
  expect(await store.has('a.png')).toBe(false);
  await store.put('a.png', bytes);
  expect(Buffer.from((await store.get('a.png')) ?? [])).toEqual(bytes);
  await store.put('a.png', Buffer.from('another'));
  expect(Buffer.from((await store.get('a.png')) ?? []).toString()).toBe('another');
  expect([await store.has('a.png'), await store.has('b.png')]).toEqual([true, false]);
  await store.remove('a.png');
  await store.remove('a.png');
  expect(await store.has('a.png')).toBe(false);
}

test('a folder', () => behaves(folderStore(scratch.path('store'))));

test('a bucket of a server that speaks S3', async () => {
  const S3rver = require('s3rver');
  const port = await freePort();
  const server = new S3rver({
    port,
    silent: true,
    directory: scratch.path('s3'),
    configureBuckets: [{ name: 'pictures' }],
  });
  await server.run();
  const env = {
    AWS_ACCESS_KEY_ID: 'S3RVER',
    AWS_SECRET_ACCESS_KEY: 'S3RVER',
    AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
  };
  try {
    await behaves(await s3Store('s3://pictures/of/mine', env));
    const missing = await s3Store('s3://nowhere', env);
    await expect(missing.put('a', Buffer.from('a'))).rejects.toThrow('s3://nowhere is not there.');
    const wrong = await s3Store('s3://pictures', { ...env, AWS_ACCESS_KEY_ID: 'NOBODY' });
    await expect(wrong.put('a', Buffer.from('a'))).rejects.toThrow(
      /^s3:\/\/pictures answers 403 \(InvalidAccessKeyId\)/,
    );
  } finally {
    await server.close();
  }
  await expect(s3Store('s3://pictures', {})).rejects.toThrow('There are no keys for s3://pictures.');
  await expect(s3Store('s3://', env)).rejects.toThrow('names no bucket');
});

describeWithRedis('Redis with TLS', () => {
  test('is known by the certificates that are given, and refused without', async () => {
    const [key, cert] = [scratch.path('key.pem'), scratch.path('cert.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', cert];
    execFileSync('openssl', [...made, ...subject], { stdio: 'ignore' });
    const port = await freePort();
    const files = [
      '--tls-cert-file',
      cert,
      '--tls-key-file',
      key,
      '--tls-ca-cert-file',
      cert,
      '--tls-auth-clients',
      'no',
    ];
    const redis = await startRedis('--tls-port', String(port), ...files, '--port', '0');
    const address = queueAddress(`rediss://localhost:${port}`);
    try {
      await expect(openQueue({ address, place: 'redis' })).rejects.toThrow(/self.signed/i);
      const queue = await openQueue({ address, place: 'redis', ca: cert });
      await queue.store.put('a', Buffer.from('a'));
      expect(await queue.store.has('a')).toBe(true);
      await queue.close();
    } finally {
      await redis.stop();
    }
  });
});
