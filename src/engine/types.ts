/** What a user may ask for. */
export type BackendRequest = 'auto' | 'gpu' | 'webgpu' | 'native' | 'wasm' | 'cpu';

/** Where tensors can run: TensorFlow on a GPU, WebGPU, TensorFlow on the CPU, WebAssembly, plain JavaScript. */
export type EngineKind = Exclude<BackendRequest, 'auto'>;

/** The names under which tfjs knows them. */
export type BackendName = 'tensorflow' | 'webgpu' | 'wasm' | 'cpu';

/** One that was tried before and why it was not taken. */
export interface Rejection {
  /** Which one. */
  kind: EngineKind;
  /** Why it could not be used, in one line. */
  reason: string;
  /** What would mend it, where the machine had it and lost it. */
  hint?: string | undefined;
}

/** The backend that tensors now run on. */
export interface EngineChoice {
  /** Which one was taken. */
  kind: EngineKind;
  /** Its name in tfjs: what `tf.getBackend()` returns. */
  backend: BackendName;
  /** One human line, for example `native (TensorFlow 2.21.0, linked)`. */
  label: string;
  /** What `auto` tried before, and why it went on. */
  rejected: Rejection[];
}
