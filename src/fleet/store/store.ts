/** Where pictures, what is told of them, and checkpoints are kept: all workers and all who wait for pictures see it. */
export interface FileStore {
  /** What it is called in messages. */
  readonly shown: string;
  /** @returns nothing where there is no such file */
  get(name: string): Promise<Uint8Array | undefined>;
  /** When this returns, the whole file is there. */
  put(name: string, bytes: Uint8Array): Promise<void>;
  has(name: string): Promise<boolean>;
  remove(name: string): Promise<void>;
  /** Checks that this is still the store of the queue. Absent where nothing else can take its place. @throws IoError */
  requireMark?(): Promise<void>;
}
