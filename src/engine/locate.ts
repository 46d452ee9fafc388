import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EngineError } from '../errors';
import { findLink, listLinks, staleness } from './link/record';
import { isSupportedNode, SUPPORTED_NODE } from './node-support';
import { resolvePackage } from './resolve';
import type { BackendName, EngineKind } from './types';

/** Where a backend's code is. */
export interface Location {
  backend: BackendName;
  /** Absolute path of the module that brings it. */
  module: string;
  /** True when that module is the loader of a linked binding, which has to be called. */
  link?: boolean;
  /** Absolute path of Dawn's binary, which a WebGPU backend runs on in Node. */
  dawn?: string;
}

/** One way to get a backend. */
export interface Candidate {
  kind: EngineKind;
  backend: BackendName;
  /** What brings it: a package's name, or `linked`. */
  source: string;
  /** Whether `auto` passes over it. */
  onlyNamed?: boolean;
  /** Finds it without loading anything; throws an error whose message is the reason why it is not available. */
  locate(env: NodeJS.ProcessEnv): Location;
}

function findPackage(name: string): string {
  const path = resolvePackage(name);
  if (path === undefined) throw new Error(`${name} is not installed`);
  return path;
}

/** Whether a driver has made a GPU visible, found out without loading the hundreds of megabytes of TensorFlow. */
export function hasNvidiaDevice(): boolean {
  return process.platform !== 'linux' || existsSync('/dev/nvidia0') || existsSync('/dev/dxg');
}

function assertUsable(kind: EngineKind): void {
  if (!isSupportedNode()) throw new Error(`the native engine runs on Node ${SUPPORTED_NODE} only`);
  if (kind === 'gpu' && !hasNvidiaDevice()) throw new Error('there is no NVIDIA GPU');
}

function inPackage(kind: 'gpu' | 'native', source: string): Candidate {
  return {
    kind,
    backend: 'tensorflow',
    source,
    locate() {
      const module = findPackage(source);
      assertUsable(kind);
      return { backend: 'tensorflow', module };
    },
  };
}

const RELINK = 'Run `ertacache engine link` again.';

function inLink(kind: 'gpu' | 'native'): Candidate {
  return {
    kind,
    backend: 'tensorflow',
    source: 'linked',
    locate(env) {
      assertUsable(kind);
      const link = findLink(env);
      const [old] = link ? [] : listLinks(env);
      if (old) throw new EngineError(`the link is not used, ${staleness(old)}`, { hint: RELINK });
      if (!link) throw new Error('no TensorFlow is linked');
      return { backend: 'tensorflow', module: join(link.folder, 'load.cjs'), link: true };
    },
  };
}

function portable(kind: 'wasm' | 'cpu', source: string): Candidate {
  return { kind, backend: kind, source, locate: () => ({ backend: kind, module: findPackage(source) }) };
}

const webgpu: Candidate = {
  kind: 'webgpu',
  backend: 'webgpu',
  source: 'webgpu',
  onlyNamed: true,
  locate() {
    const module = findPackage('@tensorflow/tfjs-backend-webgpu');
    const build = process.platform === 'darwin' ? 'darwin-universal' : `${process.platform}-${process.arch}`;
    const dawn = join(dirname(findPackage('webgpu')), 'dist', build, 'dawn.node');
    if (!existsSync(dawn)) throw new Error(`the package webgpu has no build for ${build}`);
    return { backend: 'webgpu', module, dawn };
  },
};

/** Every way to get a backend, the best first. */
export const candidates: readonly Candidate[] = [
  inPackage('gpu', '@tensorflow/tfjs-node-gpu'),
  inPackage('native', '@tensorflow/tfjs-node'),
  inLink('gpu'),
  inLink('native'),
  webgpu,
  portable('wasm', '@tensorflow/tfjs-backend-wasm'),
  portable('cpu', '@tensorflow/tfjs-backend-cpu'),
];
