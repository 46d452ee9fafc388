/** What a browser can compute with. */
export interface Detected {
  /** Absent where there is none. */
  readonly wasm?: {
    readonly simd: boolean;
    /** Whether threads may be used: the page is cross-origin isolated. */
    readonly threads: boolean;
  };
  /** The GPU, by WebGPU; absent where there is none. */
  readonly webgpu?: GpuInfo;
  /** The GPU, by WebGL; absent where there is none. */
  readonly webgl?: GpuInfo;
  /** Threads of the processor, as far as the browser tells. */
  readonly cores: number;
  /** Whether files can be kept between visits. */
  readonly storage: boolean;
  /** Whether clips can be written as MP4. */
  readonly mp4: boolean;
}

/** A GPU, as far as the browser tells. */
export interface GpuInfo {
  /** Its name; empty where the browser keeps it to itself. */
  readonly name: string;
  /** Whether the processor plays the GPU, so that it does not pay. */
  readonly software: boolean;
}

/** Modules of WebAssembly that are valid where SIMD, and atomic operations, are. */
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26, 11];
const ATOMICS = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 5, 4, 1, 3, 1, 1, 10, 11, 1, 9, 0, 65, 0, 254, 16, 2, 0,
  26, 11,
];

/**
 * Says what this browser can compute with, on a page or in a worker. Nothing is started.
 * @returns what is there
 */
export async function detect(): Promise<Detected> {
  const webgpu = await findWebGpu();
  const webgl = findWebGl();
  return {
    ...(typeof WebAssembly === 'object' && {
      wasm: { simd: isValid(SIMD), threads: isValid(ATOMICS) && globalThis.crossOriginIsolated === true },
    }),
    ...(webgpu && { webgpu }),
    ...(webgl && { webgl }),
    cores: navigator.hardwareConcurrency,
    storage: typeof caches === 'object',
    mp4: await encodesH264(),
  };
}

/** Whether clips can be written as MP4: as a usual one, since others may be too small or too large for an encoder. */
export async function encodesH264(): Promise<boolean> {
  if (typeof VideoEncoder === 'undefined') return false;
  const usual = { codec: 'avc1.42001f', width: 256, height: 256 };
  return (await VideoEncoder.isConfigSupported(usual).catch(() => undefined))?.supported === true;
}

const isValid = (module: readonly number[]): boolean => WebAssembly.validate(Uint8Array.from(module));

/** As much of WebGPU as is asked; TypeScript does not know it yet. */
interface WebGpu {
  requestAdapter(options: object): Promise<{
    readonly info?: { readonly vendor: string; readonly architecture: string; readonly description: string };
    readonly isFallbackAdapter?: boolean;
  } | null>;
}

/** Renderers that are no GPU. */
const SOFTWARE = /swiftshader|llvmpipe|software|basic render/i;

async function findWebGpu(): Promise<GpuInfo | undefined> {
  const { gpu } = navigator as { gpu?: WebGpu };
  const adapter = await gpu?.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null);
  if (!adapter) return undefined;
  const { vendor = '', architecture = '', description = '' } = adapter.info ?? {};
  const name = [vendor, architecture, description].filter(part => part !== '').join(' ');
  const isFallback = adapter.isFallbackAdapter ?? (adapter.info as { isFallbackAdapter?: boolean })?.isFallbackAdapter;
  return { name, software: isFallback === true || SOFTWARE.test(name) };
}

function findWebGl(): GpuInfo | undefined {
  if (typeof OffscreenCanvas === 'undefined') return undefined;
  const gl = new OffscreenCanvas(1, 1).getContext('webgl2');
  if (!gl) return undefined;
  const details = gl.getExtension('WEBGL_debug_renderer_info');
  const name = String(gl.getParameter(details ? details.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension('WEBGL_lose_context')?.loseContext();
  return { name, software: SOFTWARE.test(name) };
}
