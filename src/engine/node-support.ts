import { EngineError } from '../errors';

/** The Nodes that ertacache runs on, and its native engine too. */
export const SUPPORTED_NODE = '>= 20';

/** Whether ertacache, its native engine included, is known to run on that Node. */
export function isSupportedNode(version = process.versions.node): boolean {
  return Number(version.split('.')[0]) >= 20;
}

/** Refuses a Node that the native engine is not known to run on. */
export function assertSupportedNode(version = process.versions.node): void {
  if (isSupportedNode(version)) return;
  throw new EngineError(`The native engine needs Node ${SUPPORTED_NODE}; this is Node ${version}.`, {
    hint: 'Run it with a current Node (for example `nvm install --lts`), or take the backend wasm (--backend wasm).',
  });
}
