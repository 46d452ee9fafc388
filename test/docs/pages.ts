import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/io/package-root';

/** A fenced block of a page of the documentation. */
export interface Snippet {
  /** The page and the number of the block in it, such as `sample-1`. */
  readonly name: string;
  readonly language: string;
  /** What the comment before the block says of it, such as `file: src/cache/mine.ts`. */
  readonly note: string | undefined;
  readonly text: string;
}

/** A block that belongs somewhere in the repository, as the comment before it says. */
export interface Placed {
  readonly path: string;
  readonly text: string;
}

/** The blocks of a page that are marked `kind: path`, such as `file: src/cache/mine.ts`. */
export function placedBlocks(page: string, kind: 'file' | 'line'): Placed[] {
  const blocks = snippets().filter(({ name }) => name.startsWith(`${page}-`));
  const found = blocks.flatMap(({ note, text }) =>
    note?.startsWith(`${kind}: `) ? [{ path: note.slice(kind.length + 2), text }] : [],
  );
  if (found.length > 0) return found;
  throw new Error(`The page ${page} has no block marked "${kind}".`);
}

/** Every fenced block of `docs/*.md`. */
export function snippets(): Snippet[] {
  const folder = join(packageRoot(), 'docs');
  const pages = readdirSync(folder).filter(name => name.endsWith('.md'));
  return pages.flatMap(page => {
    const text = readFileSync(join(folder, page), 'utf8');
    const blocks = [...text.matchAll(/^(?:<!-- ([^\n]*) -->\n)?```(\w+)\n(.*?)^```$/gms)];
    return blocks.map(([, note, language, body], i) => ({
      name: `${page.replace('.md', '')}-${i + 1}`,
      language: language as string,
      note,
      text: body as string,
    }));
  });
}
