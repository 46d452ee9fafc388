import { formatReport } from '../../src/cli/commands/doctor';
import { examineMachine } from '../../src/engine/doctor';
import { type Candidate, candidates } from '../../src/engine/locate';
import type { ProbeRequest, ProbeResult } from '../../src/engine/probe';
import type { EngineKind } from '../../src/engine/types';

function candidate(kind: EngineKind, module: string): Candidate {
  const backend = kind === 'gpu' || kind === 'native' ? 'tensorflow' : kind;
  return { kind, backend, source: module, locate: () => ({ backend, module }) };
}

const missing: Candidate = {
  kind: 'native',
  backend: 'tensorflow',
  source: 'linked',
  locate() {
    throw new Error('no TensorFlow is linked');
  },
};

const env = { PATH: '' };

test('what it finds, in the shape that --json prints', async () => {
  const asked: ProbeRequest[] = [];
  const probe = async (request: ProbeRequest): Promise<ProbeResult> => {
    asked.push(request);
    return request.backend === 'tensorflow'
      ? { version: '2.21.0', gpu: false, gflops: 400 }
      : { version: '4.22.0', gflops: 40 };
  };
  const from = [candidate('gpu', 'tf'), candidate('native', 'tf'), candidate('wasm', 'wasm')];
  const report = JSON.parse(JSON.stringify(await examineMachine({ env, from, probe })));
  expect(report).toEqual({
    node: { version: process.versions.node, supported: true, range: '>= 20' },
    platform: `${process.platform} ${process.arch}`,
    cpu: { model: expect.any(String), threads: expect.any(Number), features: expect.any(Array) },
    memory: { total: expect.any(Number), available: expect.any(Number) },
    gpus: [],
    wasm: { simd: true, threads: 1 },
    backends: [
      { kind: 'gpu', source: 'tf', found: true, usable: false, reason: 'no usable GPU was found' },
      { kind: 'native', source: 'tf', found: true, usable: true, version: '2.21.0', gflops: 400 },
      { kind: 'wasm', source: 'wasm', found: true, usable: true, version: '4.22.0', gflops: 40 },
    ],
    chosen: 1,
    mend: [],
  });
  // The module that brings two kinds was tried once.
  expect(asked.map(({ module }) => module)).toEqual(['tf', 'wasm']);
});

test('the backend that was asked for is the chosen one', async () => {
  const probe = async (): Promise<ProbeResult> => ({ version: '1' });
  const from = [candidate('native', 'tf'), candidate('wasm', 'wasm')];
  expect((await examineMachine({ env, from, probe, request: 'wasm' })).chosen).toBe(1);
  expect((await examineMachine({ env, from, probe, request: 'cpu' })).chosen).toBeUndefined();
});

test('what auto leaves alone is listed, and chosen by its name only', async () => {
  const probe = async (): Promise<ProbeResult> => ({ version: 'A GPU', gflops: 15_000 });
  const from = [{ ...candidate('webgpu', 'dawn'), onlyNamed: true }, candidate('wasm', 'wasm')];
  const report = await examineMachine({ env, from, probe });
  expect(report.chosen).toBe(1);
  expect(formatReport(report)).toMatch(/ {2}webgpu +dawn +A GPU +1\.50e\+4 GFLOP\/s {2}only with --backend webgpu\n/);
  expect((await examineMachine({ env, from, probe, request: 'webgpu' })).chosen).toBe(0);
});

test('each thing that is missing has a line of mend', async () => {
  const probe = async (): Promise<ProbeResult> => ({ error: 'its process was stopped by SIGILL' });
  const report = await examineMachine({ env, from: [missing, candidate('wasm', 'wasm')], probe, cwd: __dirname });
  const mend = report.mend.join('\n');
  expect(mend).toContain('pip install tensorflow');
  expect(mend).toContain('There is no C++ compiler on the PATH.');
  expect(mend).toContain('WebAssembly does not work');
  expect(report.chosen).toBeUndefined();

  const text = formatReport(report);
  expect(text).toContain('no TensorFlow is linked');
  expect(text).toContain('stopped by SIGILL');
  expect(text).toContain('To fix');
});

test('a backend that is there and fails is not called missing', async () => {
  const probe = async (): Promise<ProbeResult> => ({ error: 'undefined symbol: TF_NewStatus' });
  const { mend } = await examineMachine({ env, from: [candidate('native', 'linked')], probe });
  expect(mend[0]).toContain('(linked) is installed but fails: undefined symbol: TF_NewStatus');
});

test('WebAssembly is really tried and measured, in a child process', async () => {
  const { backends } = await examineMachine({ env, from: candidates.filter(({ kind }) => kind === 'wasm') });
  expect(backends).toEqual([
    {
      kind: 'wasm',
      source: '@tensorflow/tfjs-backend-wasm',
      found: true,
      usable: true,
      version: '4.22.0',
      gflops: expect.any(Number),
    },
  ]);
  expect(backends[0]?.gflops).toBeGreaterThan(0);
});
