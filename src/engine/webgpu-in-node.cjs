'use strict';
/**
 * Gives Node what a browser has: `navigator.gpu` and the constants beside it, from Dawn (the package `webgpu`).
 *
 * Plain JavaScript, and the package's binary itself: it is also wanted by a child process of the source tree, and where
 * a module of the package's kind cannot be loaded.
 */

/** Rasterisers that call themselves a GPU. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|basic render/i;

/**
 * @param {string} binary path of `dawn.node`
 * @returns {Promise<{name: string, software: boolean}>} what WebGPU runs on
 */
module.exports = async function provideWebGpu(binary) {
  const { create, globals } = require(binary);
  Object.assign(globalThis, globals);
  // Node 20 has no navigator.
  if (!('navigator' in globalThis)) Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  if (!navigator.gpu) Object.defineProperty(navigator, 'gpu', { value: create([]), configurable: true });
  // As tfjs will ask.
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Error('WebGPU finds no GPU: its driver, or the Vulkan loader (libvulkan1), is missing');
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  const name = device && !device.startsWith('0x') ? device : description || `${vendor} ${architecture}`.trim();
  const all = [vendor, architecture, device, description].join(' ');
  return { name, software: isFallbackAdapter === true || SOFTWARE.test(all) };
};
