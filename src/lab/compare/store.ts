import type { Media } from '../../media/pixels';
import type { Policy } from '../../policy/data';
import type { Comparison } from './comparison';

/** Everything of a comparison that is done so far, wherever it is kept: in a folder, or in memory. */
export interface Store {
  /** Kept by `save`; change it in place. */
  readonly comparison: Comparison;
  /** True where an earlier run had begun. */
  readonly continued: boolean;
  save(): Promise<void>;
  /** Marks the comparison as complete and removes what only a continued run would need. */
  finish(): Promise<void>;
  /** Whether the exact uncached pixels of a batch are kept. */
  hasPixels(batch: number): Promise<boolean>;
  keepPixels(batch: number, media: readonly Media[]): Promise<void>;
  /** The exact uncached pixels of a batch, one picture a pair. */
  pixels(batch: number): Promise<readonly Media[]>;
  /** Keeps what stands for a picture or a clip, under a name of `names.ts`. */
  keepPicture(name: string, media: Media): Promise<void>;
  /** Keeps where a picture differs from the uncached one. */
  keepDifference(name: string, reference: Media, media: Media): Promise<void>;
  /** Keeps a picture that is a file already. */
  keepFile(name: string, bytes: Uint8Array): Promise<void>;
  /** The policy that is kept under a name of `names.ts`; nothing where there is none. */
  policy(name: string): Promise<Policy | undefined>;
  /** @returns the policy as `policy` will give it: what is kept has fewer digits */
  keepPolicy(name: string, policy: Policy): Promise<Policy>;
}
