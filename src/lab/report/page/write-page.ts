import { writeFileAtomic } from '../../../io/atomic';
import type { Store } from '../../compare/store';
import { renderPage } from './page';

/** Writes the page of a comparison beside it. @returns its path */
export async function writePage(store: Store): Promise<string> {
  const path = store.path('index.html');
  await writeFileAtomic(path, await renderPage(store.comparison, name => store.path(name)));
  return path;
}
