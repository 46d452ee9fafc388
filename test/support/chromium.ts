import { type Browser, chromium } from 'playwright-core';
import { browser as executablePath } from './browser';

/** Starts Chromium. WebGL and WebGPU are played by the processor. */
export function startChromium(args: readonly string[] = []): Promise<Browser> {
  const gpu = ['--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'];
  const webgpu = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'];
  return chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox', ...gpu, ...webgpu, ...args] });
}

/**
 * A `describe` of tests that run in Chromium. Where there is none they are left out, and say so; with
 * ERTACACHE_TEST_BROWSER=required that is a failure.
 */
export function describeInBrowser(name: string, body: () => void): void {
  if (executablePath) {
    describe(name, body);
    return;
  }
  if (process.env.ERTACACHE_TEST_BROWSER === 'required') {
    test(name, () => Promise.reject(new Error('There is no Chromium, and ERTACACHE_TEST_BROWSER asks for one.')));
    return;
  }
  process.stderr.write(`LEFT OUT: "${name}" needs Chromium, and there is none here.\n`);
  test.skip(`${name} (there is no Chromium here)`, () => {});
}
