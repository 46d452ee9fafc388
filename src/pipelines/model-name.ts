import { lastPart } from '../io/folder';

/**
 * What a model is called: the last part of its path, and the repository's name for a snapshot in the hub's cache, whose
 * folder is called after the commit.
 */
export function modelName(path: string): string {
  const [, cached] = /(?:^|[\\/])models--(?:[^\\/]+--)?([^\\/]+)[\\/]snapshots[\\/][^\\/]+[\\/]*$/.exec(path) ?? [];
  return cached ?? lastPart(path);
}
