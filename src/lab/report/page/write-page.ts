import { writeFileAtomic } from '../../../io/atomic';
import { PAGE_FILE } from '../../compare/own-files';
import type { Store } from '../../compare/store';
import { renderPage } from './page';

/** Writes the page of a comparison beside it. @returns its path */
export async function writePage(store: Store): Promise<string> {
  const path = store.path(PAGE_FILE);
  await writeFileAtomic(path, await renderPage(store.comparison, name => store.path(name)));
  return path;
}
