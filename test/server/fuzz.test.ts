/** Whatever is sent, the answer is 2xx or 4xx, what is refused is not drawn, and nothing is written but jobs. */
import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { scratchFolder } from '../media/pictures';
import { type DeskServer, deskServer } from './desk-server';
import { fakeRunner } from './fake-runner';

const scratch = scratchFolder();
const RUNS = { numRuns: 400, seed: 21 };

let server: DeskServer;
beforeEach(async () => {
  server = await deskServer({ folder: scratch.path('data'), maxQueue: 1000 }, fakeRunner({ places: 50, atOnce: true }));
});

/** Texts that look for a way out: of folders, of lines, of what numbers can be. */
const tricks = fc.constantFrom(
  ...['../../../etc/passwd', '/etc/passwd', '..\\..\\x', 'file:///etc/passwd', '%2e%2e%2f', 'a\0b', '\r\nX: y', ''],
  ...[
    '__proto__',
    'constructor',
    '\ud800',
    '🐸'.repeat(20),
    '9'.repeat(40),
    '-1',
    '1e999',
    'NaN',
    '0x10',
    ' 1 ',
    '$(id)',
  ],
);
const text = fc.oneof(tricks, fc.string({ unit: 'binary', maxLength: 40 }), fc.constant('fluent-emoji'));
const value = fc.oneof(
  { weight: 4, arbitrary: text },
  fc.integer(),
  fc.double(),
  fc.constantFrom(null, true, [], {}, [1], { a: { b: [null] } }, 1, 3, '32x32', 'auto', 'png', 'b64_json'),
);
const FIELDS = [
  ...['model', 'size', 'user', 'seed', 'steps', 'guidance', 'negative_prompt', 'policy', 'forwards', 'scale', 'n'],
  ...['speedup', 'psnr', 'guarantee'],
  ...['output_format', 'output_compression', 'response_format', 'stream', 'partial_images', 'strength', 'seconds'],
  ...['frames', 'id', 'background', 'init', 'embeddings', 'loras', 'variant', 'dtype', '__proto__', 'path'],
  ...['mask', 'image', 'images', 'input_reference'],
];
const fields = fc
  .array(fc.tuple(fc.constantFrom(...FIELDS), value), { maxLength: 4 })
  .chain(pairs => fc.tuple(fc.constant(Object.fromEntries(pairs)), fc.oneof(fc.constant('red heart'), value)))
  .map(([body, prompt]) => ({ ...body, prompt }));

/** @returns what was begun by this request */
async function heeded(ask: () => Promise<Response>): Promise<{ status: number; begun: number }> {
  const before = server.runner.drawings.length;
  const answer = await ask();
  await answer.arrayBuffer();
  return { status: answer.status, begun: server.runner.drawings.length - before };
}

function check({ status, begun }: { status: number; begun: number }): void {
  expect(status).toBeLessThan(500);
  if (status >= 400) expect(begun).toBe(0);
}

/** What lies in the folder, and what was handed to those who draw. */
async function checkLeft(): Promise<void> {
  // Detached jobs may still be written when the last answer is there.
  await server.close();
  const home = scratch.path('data/jobs');
  for (const name of readdirSync(home)) {
    expect(name).toMatch(/^[0-9a-f]{32}$/);
    for (const file of readdirSync(`${home}/${name}`)) expect(file).toMatch(/^(job\.json|picture|\d\.\w+(\.json)?)$/);
  }
  expect(readdirSync(scratch.path('data'))).toEqual(['jobs']);
  for (const { piece } of server.runner.drawings) {
    const { model, policy, init, embeddings, loras } = piece.request;
    expect([model, policy].every(name => /^[\w.-]+$/.test(name))).toBe(true);
    expect([init?.path ?? 'image', embeddings, loras]).toEqual(['image', undefined, undefined]);
  }
}

test.each(['/v1/images/generations', '/v1/videos', '/v1/jobs'])('bodies of JSON to %s', async path => {
  const seen = new Set<number>();
  await fc.assert(
    fc.asyncProperty(fields, async body => {
      const done = await heeded(() => server.post(path, body));
      seen.add(done.status);
      check(done);
    }),
    RUNS,
  );
  await checkLeft();
  // It tries what is right, too.
  expect([...seen].some(status => status < 300) && seen.has(400)).toBe(true);
});

test.each(['/v1/images/edits', '/v1/videos'])('forms to %s', async path => {
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.constant(new Uint8Array([137, 80, 78, 71])));
  await fc.assert(
    fc.asyncProperty(fields, bytes, text, fc.boolean(), async (body, file, name, isList) => {
      const form = new FormData();
      for (const [field, given] of Object.entries(body)) form.append(field, String(given));
      form.append(isList ? 'image[]' : 'image', new Blob([new Uint8Array(file)]), name);
      check(await heeded(() => server.get(path, { method: 'POST', body: form })));
    }),
    RUNS,
  );
  await checkLeft();
});

test('bytes that are no body of any kind', async () => {
  const type = fc.constantFrom('application/json', 'multipart/form-data; boundary=x', 'multipart/form-data', 'x', '');
  await fc.assert(
    fc.asyncProperty(
      type,
      fc.oneof(
        fc.uint8Array(),
        fc.json().map(json => Buffer.from(json)),
      ),
      async (kind, body) => {
        const ask = () =>
          server.get('/v1/images/generations', {
            method: 'POST',
            body: new Uint8Array(body),
            headers: { 'content-type': kind },
          });
        check(await heeded(ask));
      },
    ),
    RUNS,
  );
  await checkLeft();
});

test('paths and their queries', async () => {
  const path = fc.constantFrom(
    ...['/v1/models/', '/v1/jobs/', '/v1/videos/', '/v1/files/', '/v1/files/x/', '/v1/jobs/x/', '/', '/v1/'],
    ...['/v1/jobs?limit=', '/v1/jobs?after=', '/v1/videos?order=', '/docs/', '/metrics/'],
  );
  const method = fc.constantFrom('GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'HEAD');
  await fc.assert(
    fc.asyncProperty(path, text, method, fc.boolean(), async (begin, end, verb, isEncoded) => {
      const wellFormed = end.replace(/\p{Surrogate}/gu, '?');
      const tail = isEncoded ? encodeURIComponent(wellFormed) : encodeURI(wellFormed).replace(/[?#]/g, '');
      check(await heeded(() => server.get(`${begin}${tail}`, { method: verb })));
    }),
    RUNS,
  );
  await checkLeft();
});
