import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import type { Client } from '../../src/browser/client/client';
import type * as Library from '../../src/browser/client/page';
import { packageRoot } from '../../src/io/package-root';
import { startChromium } from '../support/chromium';
import { type Site, type SiteOptions, serveSite } from '../support/site';

/** In pages: what `client.mjs` exports. */
declare global {
  var erta: typeof Library;
  /** The client of a test, where its steps share one. */
  var client: Client;
}

/** A page without a bundler that has the library, and the site that it came from. */
export interface Tab {
  readonly browser: Browser;
  readonly page: Page;
  readonly site: Site;
  /** What the page complained of. */
  readonly errors: string[];
  close(): Promise<void>;
}

const PAGE = `<!doctype html><title>A page</title><link rel="icon" href="data:,">
<canvas id="canvas"></canvas>
<script type="module">import * as erta from '/lib/client.mjs'; globalThis.erta = erta;</script>`;

/** Opens such a page. @param options `args` for Chromium */
export async function openTab({
  args,
  ...options
}: Partial<SiteOptions> & { readonly args?: readonly string[] } = {}): Promise<Tab> {
  const root = packageRoot();
  const folders = {
    lib: join(root, 'dist/browser'),
    models: join(root, 'converted-models'),
    calibration: join(root, 'calibration'),
  };
  const site = await serveSite({
    ...options,
    folders: { ...folders, ...options.folders },
    pages: { '/': PAGE, ...options.pages },
  });
  const browser = await startChromium(args);
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on('pageerror', error => errors.push(String(error.stack)));
  page.on('console', message => message.type() === 'error' && errors.push(message.text()));
  await page.goto(`${site.address}/`);
  await page.waitForFunction('globalThis.erta');
  return {
    browser,
    page,
    site,
    errors,
    async close() {
      await browser.close();
      await site.close();
    },
  };
}
