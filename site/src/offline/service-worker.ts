/// <reference lib="webworker" />
/*
 * Keeps the page's own files, so that it opens without a network. Models are kept by the library (Cache API), in a store
 * of their own that outlives a new version of the page.
 */
declare const __FILES__: readonly string[];
declare const __BUILD__: string;

const worker = self as unknown as ServiceWorkerGlobalScope;
const PREFIX = 'ertacache-playground-';
const STORE = `${PREFIX}${__BUILD__}`;
const scope = new URL('./', worker.location.href);
const files = new Set(__FILES__.map(name => new URL(name, scope).href));

worker.addEventListener('install', event => {
  event.waitUntil(
    caches
      .open(STORE)
      // Of names that carry a hash the browser may take what it has; the page itself it must ask for.
      .then(store =>
        store.addAll(
          [...files].map(url => new Request(url, { cache: url.includes('/assets/') ? 'default' : 'reload' })),
        ),
      )
      .then(() => worker.skipWaiting()),
  );
});

worker.addEventListener('activate', event => {
  event.waitUntil(
    caches
      .keys()
      .then(names =>
        Promise.all(names.filter(name => name.startsWith(PREFIX) && name !== STORE).map(name => caches.delete(name))),
      )
      .then(() => worker.clients.claim()),
  );
});

worker.addEventListener('fetch', event => {
  const { request } = event;
  const url = new URL(request.url);
  url.hash = '';
  url.search = '';
  if (url.href === new URL('index.html', scope).href) url.pathname = scope.pathname;
  if (request.method === 'GET' && files.has(url.href)) event.respondWith(answer(request, url.href));
});

/** What is kept; where that is gone, what the network has. */
async function answer(request: Request, address: string): Promise<Response> {
  const kept = await (await caches.open(STORE)).match(address);
  return isolated(kept ?? (await fetch(request)));
}

/** With the headers that give a page threads, which many hosts of static files do not send. */
function isolated(response: Response): Response {
  if (response.status !== 200) return response;
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  headers.set('Cross-Origin-Resource-Policy', 'same-origin');
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
