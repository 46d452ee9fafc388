import { writeFileAtomic } from '../../../io/atomic';
import type { DiskStore } from '../../compare/disk-store';
import { PAGE_FILE } from '../../compare/own-files';
import { renderPage } from './page';

/** Writes the page of a comparison beside it. @returns its path */
export async function writePage(store: DiskStore): Promise<string> {
  const path = store.path(PAGE_FILE);
  await writeFileAtomic(path, await renderPage(store.comparison, name => store.path(name)));
  return path;
}
