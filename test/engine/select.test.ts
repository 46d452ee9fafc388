import { mkdirSync, writeFileSync } from 'node:fs';
import { type Candidate, candidates } from '../../src/engine/locate';
import { describeChoice, selectBackend } from '../../src/engine/select';
import type { BackendRequest, EngineKind } from '../../src/engine/types';
import { EngineError } from '../../src/errors';
import { scratchFolder } from '../media/pictures';

const scratch = scratchFolder();

// All of them are really the cpu backend, which every machine has; what is tested is which one is taken.
function candidate(kind: EngineKind, failure?: string): Candidate {
  return {
    kind,
    backend: 'cpu',
    source: kind,
    locate() {
      if (failure) throw new Error(failure);
      return { backend: 'cpu', module: '' };
    },
  };
}

async function load({ kind, locate }: Candidate, { env = {} }: { env?: NodeJS.ProcessEnv } = {}): Promise<string> {
  locate(env);
  await import('@tensorflow/tfjs-backend-cpu');
  return `${kind}!`;
}

const select = (request: BackendRequest, from: Candidate[]) => selectBackend(request, { from, load });

test('auto takes the first that works and says why not the ones before', async () => {
  const from = [candidate('gpu', 'no GPU'), candidate('native', 'not linked'), candidate('wasm'), candidate('cpu')];
  const choice = await select('auto', from);
  expect(choice).toEqual({
    kind: 'wasm',
    backend: 'cpu',
    label: 'wasm!',
    rejected: [
      { kind: 'gpu', reason: 'no GPU' },
      { kind: 'native', reason: 'not linked' },
    ],
  });
  expect(describeChoice(choice)).toBe('backend: wasm!');
  expect(describeChoice(choice, true)).toBe('backend: wasm!\n  not gpu: no GPU\n  not native: not linked');
});

test('auto says what was linked and can no longer be used', async () => {
  const cache = scratch.path('cache');
  const folder = scratch.path('cache/engine/tensorflow-2.21.0-napi');
  mkdirSync(folder, { recursive: true });
  const from = [
    ...candidates.filter(({ kind, source }) => kind === 'native' && source === 'linked'),
    candidate('wasm'),
  ];
  const chosen = () => selectBackend('auto', { from, env: { ERTACACHE_CACHE: cache }, load });
  expect(describeChoice(await chosen())).toBe('backend: wasm!');
  writeFileSync(`${folder}/link.json`, JSON.stringify({ schema: 2, revision: 0, linked: '', library: {} }));
  expect(describeChoice(await chosen())).toBe(
    'backend: wasm!\n  not native: the link is not used, it was linked by another version of ertacache. Run `ertacache engine link` again.',
  );
});

test('auto leaves alone what is only taken by its name', async () => {
  const from = [{ ...candidate('webgpu'), onlyNamed: true }, candidate('wasm')];
  expect(await select('auto', from)).toMatchObject({ kind: 'wasm', rejected: [] });
  expect(await selectBackend('webgpu', { from, load })).toMatchObject({ kind: 'webgpu' });
});

test('a backend that is asked for is not replaced by another', async () => {
  const from = [candidate('native', 'not installed'), candidate('native', 'not linked'), candidate('wasm')];
  const error = await select('native', from).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(EngineError);
  expect(error).toMatchObject({
    message: "The backend 'native' cannot be used: not installed; not linked.",
    hint: expect.stringContaining('ertacache engine link'),
  });
});

test('a second way to the same kind is tried', async () => {
  const choice = await select('native', [candidate('native', 'not installed'), candidate('native')]);
  expect(choice.kind).toBe('native');
});

test('when nothing works, each reason is named', async () => {
  await expect(select('auto', [candidate('wasm', 'broken'), candidate('cpu', 'gone')])).rejects.toThrow('broken; gone');
});

test('wasm and cpu can be chosen on every machine', async () => {
  for (const kind of ['wasm', 'cpu'] as const) expect((await selectBackend(kind)).kind).toBe(kind);
});
