/** The documentation site, as `npm run docs` builds it, under a path of its own. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { run } from '../../src/engine/run';
import { packageRoot } from '../../src/io/package-root';
import { serveFiles } from '../io/http-server';
import { browser } from '../support/browser';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.woff2': 'font/woff2',
  '.png': 'image/png',
  '.webp': 'image/webp',
};
const BASE = '/under/ertacache/';
const folder = mkdtempSync(join(tmpdir(), 'ertacache-site-'));
const site = (...names: string[]): string => join(folder, 'site', ...names);
const root = packageRoot();
const pages = new Map<string, string>();

async function built(tool: string, ...args: string[]): Promise<void> {
  const { code, stdout, stderr } = await run(process.execPath, [join(root, 'node_modules', tool), ...args], {
    cwd: root,
  });
  expect(`${stdout}${stderr}`).not.toMatch(/warning|\(!\)|dead link/i);
  expect(code).toBe(0);
}

beforeAll(async () => {
  await built('typedoc/bin/typedoc');
  await built('vitepress/bin/vitepress.js', 'build', 'docs', '--base', BASE, '--outDir', site());
  for (const name of readdirSync(site(), { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('.html')) pages.set(name, readFileSync(site(name), 'utf8'));
  }
}, 600_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const attributes = (html: string, name: string): string[] =>
  [...html.matchAll(new RegExp(`<(\\w+)[^>]*? ${name}="([^"]*)"`, 'g'))].map(([, tag, value]) => `${tag} ${value}`);

test('holds every page of the documentation and every exported function', () => {
  const sources = readdirSync(join(root, 'docs')).filter(name => name.endsWith('.md'));
  const expected = sources.map(name => name.replace(/^README/, 'index').replace(/\.md$/, '.html'));
  expect([...pages.keys()]).toEqual(expect.arrayContaining([...expected, 'api/index/functions/withCache.html']));
});

test('every link within it leads somewhere, to the very heading', () => {
  const dead: string[] = [];
  for (const [name, html] of pages) {
    for (const link of [...attributes(html, 'href'), ...attributes(html, 'src')]) {
      const href = link.slice(link.indexOf(' ') + 1).replaceAll('&amp;', '&');
      if (/^(https?:|data:|mailto:)/.test(href)) continue;
      const { pathname, hash } = new URL(href, `http://host${BASE}${name}`);
      const path = decodeURIComponent(pathname);
      const inside = path.startsWith(BASE) ? path.slice(BASE.length) || 'index.html' : undefined;
      const target = inside?.endsWith('/') ? `${inside}index.html` : inside;
      const id = decodeURIComponent(hash.slice(1));
      const isThere =
        target !== undefined && existsSync(site(target)) && (id === '' || pages.get(target)?.includes(`id="${id}"`));
      if (!isThere) dead.push(`${name}: ${href}`);
    }
  }
  expect(dead).toEqual([]);
});

test('what pages link to in the repository is there', () => {
  const missing = [...pages.values()]
    .flatMap(html => attributes(html, 'href'))
    .flatMap(link => /github\.com\/ertacache\/ertacache\/blob\/main\/([^#]*)/.exec(link)?.[1] ?? [])
    .filter(path => !existsSync(join(root, path)));
  expect([...new Set(missing)]).toEqual([]);
});

test('pages load nothing from elsewhere', () => {
  for (const html of pages.values()) {
    const loaded = [...attributes(html, 'src'), ...attributes(html, 'href').filter(link => link.startsWith('link '))];
    expect(loaded.filter(link => /\shttps?:/.test(link))).toEqual([]);
  }
});

(browser ? test : test.skip)(
  `its first page comes to life with no network but its server${browser ? '' : ' (there is no Chromium here)'}`,
  async () => {
    const server = await serveFiles();
    try {
      for (const name of readdirSync(site(), { recursive: true, encoding: 'utf8' })) {
        const path = site(name);
        const type = TYPES[extname(name)];
        if (type) server.files.set(`${BASE.slice(1)}${name}`, { bytes: readFileSync(path), type });
      }
      const flags = [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
      ];
      const profile = join(folder, 'profile');
      const load = () =>
        run(
          browser!,
          [
            ...flags,
            `--user-data-dir=${profile}`,
            '--virtual-time-budget=20000',
            '--dump-dom',
            `${server.address}${BASE}index.html`,
          ],
          {},
        );
      // Its script fetches the pages that it links to ahead. A busy machine may print the page before that.
      const isAlive = async (): Promise<boolean> => (await load()).stdout.includes('<link rel="prefetch"');
      expect((await isAlive()) || (await isAlive()) || (await isAlive())).toBe(true);
    } finally {
      await server.close();
    }
  },
  120_000,
);
