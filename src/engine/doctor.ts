import { ErtaError } from '../errors';
import { findTensorFlow } from './link/find-tensorflow';
import { findCompiler, findNodeHeaders, headerFolders } from './link/toolchain';
import { type Candidate, candidates, type Location } from './locate';
import { describeCpu, findGpus, type Gpu, hasWasmSimd } from './machine';
import { availableMemory, totalMemory } from './memory';
import { isSupportedNode, SUPPORTED_NODE } from './node-support';
import { type ProbeResult, probe } from './probe';
import type { BackendRequest, EngineKind } from './types';

/** What is known about one way to get a backend. */
export interface BackendReport {
  kind: EngineKind;
  /** What brings it: a package's name, or `linked`. */
  source: string;
  /** Whether it is installed; it may still not work. */
  found: boolean;
  usable: boolean;
  /** Whether `auto` passes over it. */
  onlyNamed?: boolean;
  version?: string | undefined;
  /** Measured speed of a square float32 matMul. */
  gflops?: number | undefined;
  /** Why it is not usable. */
  reason?: string;
}

/** Everything that `ertacache doctor` knows; `--json` prints it as it is. */
export interface DoctorReport {
  node: { version: string; supported: boolean; range: string };
  platform: string;
  cpu: ReturnType<typeof describeCpu>;
  memory: { total: number; available: number };
  gpus: Gpu[];
  wasm: { simd: boolean; threads: number };
  backends: BackendReport[];
  /** Index in `backends` of the one that is used; undefined when none can be. */
  chosen?: number;
  /** One sentence for each thing that is missing and can be installed. */
  mend: string[];
}

export interface DoctorOptions {
  request?: BackendRequest | undefined;
  cwd?: string | undefined;
  env?: NodeJS.ProcessEnv | undefined;
  /** How to try a backend, and which; for tests. */
  probe?: typeof probe | undefined;
  from?: readonly Candidate[] | undefined;
}

async function examine(
  { kind, source, onlyNamed, locate }: Candidate,
  env: NodeJS.ProcessEnv,
  tryIt: (location: Location) => Promise<ProbeResult>,
): Promise<BackendReport> {
  const about = { kind, source, ...(onlyNamed && { onlyNamed }) };
  let location: Location;
  try {
    location = locate(env);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const hint = ErtaError.isInstance(error) ? error.hint : undefined;
    return { ...about, found: false, usable: false, reason: hint ? `${reason}. ${hint}` : reason };
  }
  const { error, version, gflops, gpu } = await tryIt(location);
  const reason = error ?? (kind === 'gpu' && !gpu ? 'no usable GPU was found' : undefined);
  if (reason !== undefined) return { ...about, found: true, usable: false, reason };
  return { ...about, found: true, usable: true, version, gflops };
}

/** What keeps `engine link` from working here, in the words of its own errors; none: it would work. */
async function linkObstacles(cwd: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const obstacles: string[] = [];
  let found = '';
  for (const step of [
    async () => {
      const { version, lib } = await findTensorFlow({ cwd, env });
      found = `TensorFlow ${version} is in ${lib}`;
    },
    async () => void (await findCompiler(env)),
    async () => void findNodeHeaders(headerFolders(env)),
  ]) {
    try {
      await step();
    } catch (error) {
      if (!ErtaError.isInstance(error)) throw error;
      obstacles.push(`${error.message} ${error.hint}`);
    }
  }
  return obstacles.length > 0 ? obstacles : [`${found}: run \`ertacache engine link\` for the native backend.`];
}

/** Examines this machine: what can run, how fast it is, and what would make it better. */
export async function examineMachine(options: DoctorOptions = {}): Promise<DoctorReport> {
  const { request = 'auto', cwd = process.cwd(), env = process.env, from = candidates } = options;
  const supported = isSupportedNode();
  const gpus = await findGpus(env);
  const simd = hasWasmSimd();

  // One after the other, or they would slow each other down; a module that brings two kinds is tried once.
  const tried = new Map<string, Promise<ProbeResult>>();
  const tryIt = (location: Location) => {
    const known = tried.get(location.module) ?? (options.probe ?? probe)({ ...location, measure: true });
    tried.set(location.module, known);
    return known;
  };
  const backends: BackendReport[] = [];
  for (const candidate of from) backends.push(await examine(candidate, env, tryIt));

  const chosen = backends.findIndex(
    ({ kind, usable, onlyNamed }) => usable && (request === 'auto' ? !onlyNamed : request === kind),
  );
  const works = (kind: EngineKind) => backends.some(backend => backend.kind === kind && backend.usable);
  const mend: string[] = [];
  if (!supported) mend.push(`Use a current Node: ertacache runs on Node ${SUPPORTED_NODE}.`);
  if (gpus.length > 0 && !works('gpu')) {
    mend.push(
      works('webgpu')
        ? 'There is a GPU: --backend webgpu uses it. For more speed, `pip install tensorflow[and-cuda]`, then `ertacache engine link`.'
        : 'There is a GPU: `pip install tensorflow[and-cuda]`, then `ertacache engine link`, to use it; or `npm install webgpu @tensorflow/tfjs-backend-webgpu` for --backend webgpu.',
    );
  }
  const broken = backends.filter(({ kind, found, usable }) => kind === 'native' && found && !usable);
  for (const { source, reason } of broken) {
    const again =
      source === 'linked' ? '`ertacache engine unlink`, then `ertacache engine link`' : `\`npm rebuild ${source}\``;
    mend.push(`The native backend (${source}) is installed but fails: ${reason}. Try ${again}.`);
  }
  if (supported && broken.length === 0 && !works('native') && !works('gpu')) {
    mend.push(...(await linkObstacles(cwd, env)));
  }
  if (!simd) mend.push('This Node has no WebAssembly SIMD: use a current Node on a 64-bit processor.');
  if (!works('wasm')) mend.push('WebAssembly does not work: run `npm install @tensorflow/tfjs-backend-wasm`.');

  return {
    node: { version: process.versions.node, supported, range: SUPPORTED_NODE },
    platform: `${process.platform} ${process.arch}`,
    cpu: describeCpu(),
    memory: { total: totalMemory(), available: availableMemory() },
    gpus,
    wasm: { simd, threads: 1 },
    backends,
    ...(chosen >= 0 && { chosen }),
    mend,
  };
}
