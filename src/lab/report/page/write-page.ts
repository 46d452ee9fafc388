import { writeFileAtomic } from '../../../io/atomic';
import { isFile } from '../../../io/node-file';
import type { DiskStore } from '../../compare/disk-store';
import { pictureName, REFERENCE } from '../../compare/names';
import { PAGE_FILE } from '../../compare/own-files';
import { renderPage } from './page';

/** Writes the page of a comparison beside it. @returns its path */
export async function writePage(store: DiskStore): Promise<string> {
  const path = store.path(PAGE_FILE);
  // One that was measured in a browser kept none.
  const hasPictures = await isFile(store.path(pictureName(REFERENCE, 0)));
  await writeFileAtomic(path, await renderPage(store.comparison, hasPictures ? name => store.path(name) : undefined));
  return path;
}
