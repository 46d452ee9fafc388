import { EngineError } from '../errors';

/** The Node majors that tfjs 4.22 is known to run on. */
export const SUPPORTED_NODE = '>= 20 and < 23';

/** Whether tfjs 4.22's native binding works on that Node; its JavaScript calls functions that Node 23 removed. */
export function isSupportedNode(version = process.versions.node): boolean {
  const major = Number(version.split('.')[0]);
  return major >= 20 && major < 23;
}

/** Refuses a Node on which the native binding is known to break. */
export function assertSupportedNode(version = process.versions.node): void {
  if (isSupportedNode(version)) return;
  throw new EngineError(`The native engine needs Node ${SUPPORTED_NODE}; this is Node ${version}.`, {
    hint: 'Run it with Node 22 (for example `nvm install 22`), or use --backend wasm.',
  });
}
