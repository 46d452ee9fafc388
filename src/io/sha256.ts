import { sha256 as portable } from '@noble/hashes/sha2';
import { nodeBuiltin } from './node-builtin';

/** A SHA-256 that is fed piece by piece. */
export interface Sha256 {
  /** Adds bytes, or a text as UTF-8. @returns itself */
  update(data: Uint8Array | string): Sha256;
  /** The hash as hexadecimal; nothing can be added afterwards. */
  digest(): string;
}

/** Begins a SHA-256: by Node's own where it is to be had, in JavaScript elsewhere. */
export function sha256Stream(): Sha256 {
  const crypto = nodeBuiltin('crypto');
  return crypto ? nativeStream(crypto) : portableStream();
}

/** SHA-256 of bytes, or of a text as UTF-8, as hexadecimal. */
export function sha256(data: Uint8Array | string): string {
  return sha256Stream().update(data).digest();
}

function nativeStream({ createHash }: typeof import('node:crypto')): Sha256 {
  const hash = createHash('sha256');
  const stream: Sha256 = {
    update(data) {
      hash.update(data);
      return stream;
    },
    digest: () => hash.digest('hex'),
  };
  return stream;
}

/** SHA-256 in JavaScript, for browsers. */
export function portableStream(): Sha256 {
  const hash = portable.create();
  const stream: Sha256 = {
    update(data) {
      hash.update(typeof data === 'string' ? new TextEncoder().encode(data) : data);
      return stream;
    },
    digest: () => Array.from(hash.digest(), byte => byte.toString(16).padStart(2, '0')).join(''),
  };
  return stream;
}
