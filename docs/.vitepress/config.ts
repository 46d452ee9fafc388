import { existsSync, readFileSync } from 'node:fs';
import { posix, resolve } from 'node:path';
import { type DefaultTheme, defineConfig } from 'vitepress';

const REPOSITORY = 'https://github.com/ertacache/ertacache';
const api = resolve(import.meta.dirname, '../api/typedoc-sidebar.json');

const page = (text: string, name: string): DefaultTheme.SidebarItem => ({ text, link: `/${name}` });

const pages: DefaultTheme.SidebarItem[] = [
  {
    text: 'Use it',
    items: [
      page('Sample pictures and clips', 'sample'),
      page('Calibrate a policy', 'calibrate'),
      page('Compare methods', 'compare'),
      page('Convert and export', 'convert'),
      page('Engine and GPU', 'engine-and-gpu'),
      page('In a browser', 'in-a-browser'),
      page('Your own pipeline', 'use-in-your-own-pipeline'),
      page('Playground', 'playground'),
      page('Models', 'models'),
      page('Serve over HTTP', 'serve'),
      page('Draw on many machines', 'fleet'),
      page('Errors', 'errors'),
    ],
  },
  {
    text: 'How well it does',
    items: [
      page('The method', 'method'),
      page('Results', 'results'),
      page('Without guidance', 'results-without-guidance'),
      page('Clips', 'results-clips'),
    ],
  },
  {
    text: 'Extend it',
    items: [page('Add a model', 'add-a-model'), page('Add a caching method', 'add-a-caching-method')],
  },
];

/** The reference that typedoc wrote before. */
const reference = (): DefaultTheme.SidebarItem[] =>
  existsSync(api) ? [{ text: 'Reference', collapsed: true, items: JSON.parse(readFileSync(api, 'utf8')) }] : [];

/** What a page links to outside the pages' folder is in the repository. */
function inRepository(href: string, page: string): string {
  const path = posix.join(posix.dirname(page), href);
  return /^\.\.?\//.test(href) && path.startsWith('../') ? path.replace('../', `${REPOSITORY}/blob/main/`) : href;
}

export default defineConfig({
  title: 'ertacache',
  description: 'Fast diffusion sampling in TypeScript on TensorFlow.js.',
  rewrites: { 'README.md': 'index.md' },
  cleanUrls: false,
  lastUpdated: false,
  markdown: {
    config(markdown) {
      markdown.core.ruler.push('repository-links', ({ tokens, env }) => {
        for (const token of tokens.flatMap(({ children }) => children ?? [])) {
          if (token.type !== 'link_open') continue;
          const href = token.attrGet('href');
          if (href !== null) token.attrSet('href', inRepository(href, env.relativePath as string));
        }
      });
    },
  },
  // The index of the search is one file of all pages.
  vite: { build: { chunkSizeWarningLimit: 4000 } },
  themeConfig: {
    sidebar: [...pages, ...reference()],
    outline: [2, 3],
    search: { provider: 'local' },
    socialLinks: [{ icon: 'github', link: REPOSITORY }],
  },
});
