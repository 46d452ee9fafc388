import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { none } from '../../src/cache/none';
import { heedFaults } from '../../src/engine/gpu-faults';
import { candidates } from '../../src/engine/locate';
import { selectBackend } from '../../src/engine/select';
import { beginRun } from '../../src/sampling/cached-run';
import { unguided } from '../../src/sampling/guidance';

/** A binary as Dawn's, whose only adapter has this information. */
function fakeDawn(info: Record<string, unknown> | null): string {
  const path = join(mkdtempSync(join(tmpdir(), 'ertacache-')), 'dawn.cjs');
  const adapter = info === null ? 'null' : `{ info: ${JSON.stringify(info)} }`;
  writeFileSync(
    path,
    `module.exports = { globals: { GPUFake: 7 }, create: () => ({ requestAdapter: async () => (${adapter}) }) };`,
  );
  return path;
}

describe('WebGPU in Node', () => {
  const provide = require('../../src/engine/webgpu-in-node.cjs') as (
    binary: string,
  ) => Promise<{ name: string; software: boolean }>;
  const global = globalThis as { navigator?: { gpu?: unknown }; GPUFake?: number };
  afterEach(() => {
    delete global.navigator;
    delete global.GPUFake;
  });

  test('is what a browser has', async () => {
    const about = await provide(fakeDawn({ vendor: 'nvidia', architecture: 'hopper', description: 'A GPU' }));
    expect(about).toEqual({ name: 'A GPU', software: false });
    expect(global.GPUFake).toBe(7);
    expect(global.navigator?.gpu).toBeDefined();
  });

  test.each([
    [{ vendor: 'google', architecture: 'swiftshader', description: 'SwiftShader driver' }],
    [{ vendor: 'mesa', architecture: '', description: 'llvmpipe (LLVM 15)' }],
    [{ vendor: 'any', architecture: 'one', isFallbackAdapter: true }],
  ])('a GPU in software is told apart: %j', async info => {
    expect((await provide(fakeDawn(info))).software).toBe(true);
  });

  test('a device has a name of its own, or that of its maker and kind', async () => {
    expect((await provide(fakeDawn({ vendor: 'v', architecture: 'a', device: 'Card 9' }))).name).toBe('Card 9');
    delete global.navigator;
    expect((await provide(fakeDawn({ vendor: 'v', architecture: 'a', device: '0x2330' }))).name).toBe('v a');
  });

  test('no adapter is said in words', async () => {
    await expect(provide(fakeDawn(null))).rejects.toThrow(/^WebGPU finds no GPU: its driver, or the Vulkan loader/);
  });
});

describe('faults of the GPU', () => {
  function fakeBackend() {
    const listeners: ((event: { error: { message: string } }) => void)[] = [];
    let lose: (about: { message: string }) => void = () => {};
    const lost = new Promise<{ message: string }>(resolve => {
      lose = resolve;
    });
    const device = { lost, addEventListener: (_: string, heard: (typeof listeners)[number]) => listeners.push(heard) };
    return { device, read: async (_: object) => [1, 2], listeners, lose: (message: string) => lose({ message }) };
  }

  test('reach whoever reads a result', async () => {
    const backend = fakeBackend();
    heedFaults(backend);
    heedFaults(backend);
    expect(backend.listeners).toHaveLength(1);
    expect(await backend.read({})).toEqual([1, 2]);
    backend.listeners[0]!({ error: { message: 'Invalid ComputePipeline "Add"\n - While encoding' } });
    backend.listeners[0]!({ error: { message: 'a later one' } });
    await expect(backend.read({})).rejects.toMatchObject({
      name: 'EngineError',
      message: 'The GPU reported a fault: Invalid ComputePipeline "Add"',
      hint: expect.stringContaining('--backend'),
    });
  });

  test('a run heeds them whoever chose the backend, as in browsers', async () => {
    const gpu = fakeBackend();
    tf.registerBackend('fake-gpu', () => ({ ...gpu, dispose() {} }) as never);
    try {
      await tf.setBackend('fake-gpu');
      beginRun({ branches: [], guide: unguided }, none(), { steps: 1, sigmas: [1, 0] }).dispose();
    } finally {
      tf.removeBackend('fake-gpu');
    }
    expect(gpu.listeners).toHaveLength(1);
  });

  test('so does a device that is gone', async () => {
    const backend = fakeBackend();
    heedFaults(backend);
    backend.lose('');
    await expect(backend.read({})).rejects.toThrow('The GPU reported a fault: the device was lost');
  });
});

test('is taken by its name only, and what is missing is named with the way to get it', async () => {
  const webgpu = candidates.find(({ kind }) => kind === 'webgpu')!;
  expect(webgpu.onlyNamed).toBe(true);
  const missing = {
    ...webgpu,
    locate() {
      throw new Error('webgpu is not installed');
    },
  };
  await expect(selectBackend('webgpu', { from: [missing] })).rejects.toMatchObject({
    name: 'EngineError',
    message: "The backend 'webgpu' cannot be used: webgpu is not installed.",
    hint: expect.stringContaining('npm install webgpu @tensorflow/tfjs-backend-webgpu'),
  });
});
