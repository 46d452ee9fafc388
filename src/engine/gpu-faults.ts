import { EngineError } from '../errors';

/** As much of a `GPUDevice` as is listened to. */
interface Device {
  readonly lost: Promise<{ readonly message: string }>;
  addEventListener(type: 'uncapturederror', listener: (event: { error: { message: string } }) => void): void;
}

interface WebGpuBackend {
  readonly device: Device;
  read(dataId: object): Promise<unknown>;
}

function isWebGpu(backend: object): backend is WebGpuBackend {
  return 'device' in backend && 'read' in backend;
}

const heeded = new WeakSet<object>();

/**
 * Makes faults of the GPU known to whoever reads a result. Dawn does not report them through the calls that caused
 * them, and everything that is computed afterwards is wrong.
 */
export function heedFaults(backend: object): void {
  if (!isWebGpu(backend)) return;
  if (heeded.has(backend)) return;
  heeded.add(backend);
  let fault: string | undefined;
  backend.device.addEventListener('uncapturederror', ({ error }) => {
    fault ??= error.message.split('\n')[0] as string;
  });
  void backend.device.lost.then(({ message }) => {
    fault ??= message || 'the device was lost';
  });
  const read = backend.read.bind(backend);
  backend.read = async dataId => {
    const values = await read(dataId);
    if (fault === undefined) return values;
    throw new EngineError(`The GPU reported a fault: ${fault}`, {
      hint: 'Try another backend (--backend); on a computer of your own `ertacache doctor` lists them.',
    });
  };
}
