import { selectBackend } from '../../src/engine/select';
import { useKernels } from '../../src/nn/wasm/run';

/** The backends that tests run on. */
export type TestBackend = 'native' | 'webgpu' | 'wasm' | 'cpu';

const ALL: readonly TestBackend[] = ['native', 'webgpu', 'wasm', 'cpu'];
/** Those that hand values over at once, as most tests ask of them. */
const AT_ONCE: readonly TestBackend[] = ['native', 'wasm', 'cpu'];

/** Those that are usable here, as the global set-up found them. */
export function usableBackends(): TestBackend[] {
  const names = process.env.ERTACACHE_TEST_BACKENDS ?? '';
  return names.split(',').filter((name): name is TestBackend => ALL.includes(name as TestBackend));
}

/**
 * Defines one `describe` for each usable backend, named `<name> on <backend>`, with tfjs switched to that backend
 * before its tests. `only` narrows the backends; when none of them is usable here, one skipped test says so.
 */
export function describeOnBackends(
  name: string,
  body: (backend: TestBackend) => void,
  only: readonly TestBackend[] = AT_ONCE,
): void {
  const backends = usableBackends().filter(backend => only.includes(backend));
  for (const backend of backends) {
    describe(`${name} on ${backend}`, () => {
      beforeAll(async () => {
        await selectBackend(backend);
      });
      body(backend);
    });
  }
  if (backends.length === 0) test.skip(`${name} needs one of ${only.join(', ')}`, () => {});
}

/** Inside a `describe`: its tests see tfjs's own kernels on wasm, not those of ertacache. */
export function withoutKernels(): void {
  beforeAll(() => useKernels(undefined));
  afterAll(() => useKernels('fma'));
}
