import type { FarTarget } from '../workers/far-target';
import type { JobResult } from './job';
import type { Piece } from './order';

/** What is told of a piece while it is drawn. */
export type PieceEvent =
  | {
      readonly type: 'step';
      /** Steps that are done, and all of them. */
      readonly done: number;
      readonly total: number;
      /** Forward passes that the step cost. */
      readonly forwards: number;
      /** Bytes that the caches hold. */
      readonly cacheBytes: number;
    }
  | {
      readonly type: 'preview';
      readonly index: number;
      readonly bytes: Uint8Array;
      readonly width: number;
      readonly height: number;
    }
  | {
      /** Where the drawing is, to go on there; only where an assignment asks for it. */
      readonly type: 'checkpoint';
      readonly bytes: Uint8Array;
    };

/** A piece that is to be drawn, who is told of it, and who may stop it: at the next step or between two blocks. */
export interface Assignment {
  readonly piece: Piece;
  /** Whose it is, where users take turns. */
  readonly user?: string | undefined;
  readonly signal: AbortSignal;
  readonly onEvent: (event: PieceEvent) => void;
  /** Where the drawing goes on, and how often it tells where it is. It is then drawn alone. */
  readonly checkpoint?: Checkpointing | undefined;
}

/** The reason of signals that stop what the next server goes on with: whoever draws elsewhere need not stop. */
export const LEFT = new Error('The next server goes on with it.');

/** How a drawing that may be interrupted tells where it is. */
export interface Checkpointing {
  /** Steps between two checkpoints. */
  readonly every: number;
  /** The last one of a drawing that was interrupted. */
  readonly last?: Uint8Array | undefined;
}

/** What is asked of a model beside pictures, such as a forward pass. */
export interface Question {
  readonly target: FarTarget;
  /** As `encodeFar` makes them. */
  readonly bytes: Uint8Array;
  readonly signal: AbortSignal;
}

/** A piece that is drawn. */
export interface Finished extends Omit<JobResult, 'name' | 'bytes'> {
  /** The file. */
  readonly bytes: Uint8Array;
}

/** How those who draw are doing. */
export interface RunnerHealth {
  /** Whether anything can be drawn now. */
  readonly ready: boolean;
  /** Why not, or what is wrong all the same. */
  readonly faults: readonly string[];
  readonly workers: readonly WorkerHealth[];
}

/** How one worker is doing. */
export interface WorkerHealth {
  readonly state: 'starting' | 'idle' | 'busy' | 'waiting' | 'stopped';
  readonly pid?: number | undefined;
  /** Resident bytes, and tensors between two pieces, as it last said. */
  readonly memory: number;
  readonly tensors: number;
  /** How often it was started again. */
  readonly restarts: number;
  /** Names of the models that it has in memory. */
  readonly models: readonly string[];
}

/**
 * Those who draw: processes of this machine, or machines elsewhere. This and `JobStore` are all that the server knows of
 * where work is done and kept.
 */
export interface Runner {
  /** Batches that are drawn at a time. More are handed to it only for those that are ending. */
  readonly places: number;
  /**
   * How many pieces like this one are best drawn as one batch.
   * @param piece one of them
   * @returns 1 where it does not pay
   */
  mostTogether(piece: Piece): number;
  /**
   * Draws pieces of one `batchKey` as one batch. Each gets what it would get alone. One that is stopped is told so at
   * once; the batch goes on as long as somebody waits for a part of it.
   * @param batch one piece or several, no more than `mostTogether`
   * @param onEnding called at most once, when the batch comes to its end and it pays to hand over another one already:
   *   who draws then need not wait for it
   * @returns for each piece its file and its receipt, or why there is none: ErtaError for a piece that cannot be drawn,
   *   InterruptedError for one that was stopped
   */
  draw(batch: readonly Assignment[], onEnding?: () => void): readonly Promise<Finished>[];
  /**
   * Answers a question about a model, where that can be asked.
   * @throws ErtaError for one that cannot be answered, InterruptedError when it was stopped
   */
  ask?(question: Question): Promise<Uint8Array>;
  /**
   * Waits until pieces can be drawn.
   * @throws EngineError when none ever will be
   */
  begun(): Promise<void>;
  health(): RunnerHealth;
  /** Ends what is running, and the workers. */
  close(): Promise<void>;
}
