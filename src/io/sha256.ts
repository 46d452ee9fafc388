import { UnsupportedError } from '../errors';

/**
 * SHA-256 as hexadecimal, in Node and in browsers.
 * @throws UnsupportedError in a page that was not served over https or from localhost, where browsers have no digest
 */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const { crypto } = globalThis as { crypto?: { subtle?: SubtleCrypto } };
  if (!crypto?.subtle) {
    throw new UnsupportedError('This page has no SHA-256: browsers offer it in secure contexts only.', {
      hint: 'Serve the page over https or from localhost.',
    });
  }
  // A copy: digest takes no memory that may be shared.
  const digest = await crypto.subtle.digest('SHA-256', Uint8Array.from(bytes));
  return [...new Uint8Array(digest)].map(byte => byte.toString(16).padStart(2, '0')).join('');
}

interface SubtleCrypto {
  digest(algorithm: string, data: Uint8Array): Promise<ArrayBuffer>;
}
