import { IoError } from '../errors';

/** The code of an error of the operating system, such as ENOENT; undefined for any other error. */
export function systemCode(error: unknown): string | undefined {
  // Not `instanceof Error`: errors of the runtime may come from another realm.
  if (typeof error !== 'object' || error === null || !('syscall' in error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

const REASONS: Readonly<Record<string, readonly [reason: string, hint: string]>> = {
  ENOSPC: ['the disk is full', 'Free some space or choose a place on another disk.'],
  EDQUOT: ['the disk quota is used up', 'Free some space or choose a place on another disk.'],
  EACCES: ['permission is denied', 'Choose a place you may write to.'],
  EPERM: ['permission is denied', 'Choose a place you may write to.'],
  EROFS: ['the file system is read-only', 'Choose a place you may write to.'],
  EISDIR: ['a folder has that name', 'Choose another name, or remove the folder first.'],
  ENOTDIR: ['a file stands where a folder is needed', 'Choose another name, or remove the file first.'],
  EEXIST: ['a file stands where a folder is needed', 'Choose another name, or remove the file first.'],
  ENAMETOOLONG: ['the name is too long', 'Choose a shorter name.'],
};

/** `error` as an IoError about writing `path`; errors that are not the operating system's pass unchanged. */
export function writeError(path: string, error: unknown): unknown {
  const code = systemCode(error);
  if (code === undefined) return error;
  const [reason, hint] = REASONS[code] ?? [`the system reports ${code}`, undefined];
  return new IoError(`Cannot write ${path}: ${reason}.`, { hint, cause: error });
}

/** `error` as an IoError about reading the picture `path`. */
export function readError(path: string, error: unknown): IoError {
  const code = systemCode(error);
  if (code === 'ENOENT') return new IoError(`There is no file ${path}.`, { cause: error });
  if (code === 'EACCES' || code === 'EPERM') return new IoError(`${path} may not be read.`, { cause: error });
  return new IoError(`${path} is not a picture that can be read.`, {
    hint: 'PNG, JPEG, WebP, GIF, TIFF and AVIF files can be, and folders of them.',
    cause: error,
  });
}
