import { requireSite } from '../library/built-package';
import { type Running, start } from '../server/running';

let running: Running;

beforeAll(async () => {
  await requireSite();
  running = await start({ apiKeys: ['a-key-that-is-long-enough-for-this'], basePath: '/pictures' });
}, 120_000);
afterAll(() => running?.end());

test('a server of pictures has the playground too: files that need no key, under its own path', async () => {
  const { get } = running;
  expect(await (await get('/pictures')).text()).toContain('<a href="/pictures/playground/">');
  const moved = await get('/pictures/playground', { redirect: 'manual' });
  expect([moved.status, moved.headers.get('location')]).toEqual([302, '/pictures/playground/']);
  const page = await get('/pictures/playground/');
  expect(await page.text()).toContain('<title>ertacache playground</title>');
  expect(page.headers.get('content-security-policy')).toContain("worker-src 'self' blob:");
  const model = await get('/pictures/playground/models/fluent-emoji/model.json');
  expect(await model.json()).toMatchObject({ format: 'graph-model' });
  expect((await get('/pictures/v1/models')).status).toBe(401);
  expect((await get('/pictures/playground/nothing')).status).toBe(401);
});
