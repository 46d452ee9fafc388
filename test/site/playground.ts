import { Hono } from 'hono';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { createPlayground, playgroundRoutes } from '../../src/server/http/playground';
import { type Listening, listen } from '../../src/server/listen';
import { requireSite } from '../library/built-package';
import { startChromium } from '../support/chromium';

/** The playground, served as `ertacache playground` does, and a browser to visit it with. */
export interface Playground {
  /** Its address, with a slash at the end. */
  readonly address: string;
  /** Opens it in a window of its own: nothing is kept from visits before. */
  visit(hash?: string, options?: BrowserContextOptions): Promise<Page>;
  /** Stops the server, as if the network were gone. */
  goOffline(): Promise<void>;
}

/** On a machine that is busy with other things, a picture takes its time. In milliseconds. */
const PATIENCE = 120_000;

/**
 * The playground for the tests of a `describe`. What a page says to its console as an error fails the test.
 * @param prefix a path under which it is served, by a server of others
 */
export function playground(prefix = ''): Playground {
  let listening: Listening;
  let browser: Browser;
  const faults: string[] = [];
  let offline = false;
  jest.setTimeout(3 * PATIENCE);

  beforeAll(async () => {
    await requireSite();
    const app = prefix === '' ? createPlayground() : new Hono().route(prefix, playgroundRoutes(prefix));
    const fetch = async (request: Request): Promise<Response> => app.fetch(request);
    listening = await listen({ fetch }, { host: '127.0.0.1', port: 0 });
    browser = await startChromium(['--disable-gpu']);
  });
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    expect(faults.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    await browser.close();
    if (!offline) await listening.close();
  });

  const site: Playground = {
    get address() {
      return `${listening.url}${prefix}/`;
    },
    async visit(hash = '', options = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
      const page = await context.newPage();
      page.setDefaultTimeout(PATIENCE);
      page.on('console', message => message.type() === 'error' && !offline && faults.push(message.text()));
      page.on('pageerror', error => faults.push(String(error.stack ?? error)));
      await page.goto(`${site.address}${hash}`);
      return page;
    },
    async goOffline() {
      offline = true;
      await listening.close();
    },
  };
  return site;
}

/** Waits until so many pictures of the page are drawn, and none is under way. */
export async function drawn(page: Page, count: number): Promise<void> {
  await page.waitForFunction(
    wanted => {
      const all = [...document.querySelectorAll('.easel[data-state]')];
      return all.length === wanted && all.every(easel => easel.getAttribute('data-state') === 'done');
    },
    count,
    { timeout: PATIENCE },
  );
}

/** The text of the first element, on one line. */
export const textOf = async (page: Page, selector: string): Promise<string> =>
  ((await page.locator(selector).first().textContent()) ?? '').replaceAll(/\s+/g, ' ').trim();
