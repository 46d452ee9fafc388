import type { PolicyInfo } from 'ertacache/browser';

/** A policy of a loaded model: one that lies beside it, or one that was made or opened here. */
export interface PolicyCard extends PolicyInfo {
  /** Name of the model. */
  readonly model: string;
  /** Made or opened in this page. */
  readonly own: boolean;
}

/** How a drawing's steps are chosen. */
export type Choice =
  | { readonly by: 'none' }
  | { readonly by: 'policy'; readonly hash: string }
  | { readonly by: 'schedule'; readonly schedule: string };

/** What is drawn. Two orders with the same key are the same drawing. */
export interface Order {
  readonly model: string;
  readonly prompt: string;
  readonly seed: number;
  readonly guidance: number;
  readonly steps: number;
  readonly choice: Choice;
}
