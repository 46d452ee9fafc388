import { type ChildProcess, fork } from 'node:child_process';
import { resolve } from 'node:path';
import type { BackendRequest } from '../../src/engine/types';
import { inTurns, type TurnOptions, type Turns } from './turns';

/** What an arm does when it is asked: a forward pass of a case of `vs-pytorch/cases.ts`, or a picture. */
export type Work =
  | { readonly do: 'forward'; readonly case: string }
  | { readonly do: 'picture'; readonly model: string; readonly cached: boolean };

/** A process of its own: its backend, and what it does there. */
export interface Arm {
  readonly backend: BackendRequest;
  readonly threads: number;
  /** What `ERTACACHE_FUSED` says there. */
  readonly kernels?: '0' | 'plain';
  readonly work: Work;
}

/** The next thing that a process says. */
function answer<T>(child: ChildProcess): Promise<T> {
  return new Promise((done, failed) => {
    const ended = (code: number | null): void => failed(new Error(`A measured process ended with code ${code}.`));
    child.once('exit', ended);
    child.once('message', message => {
      child.off('exit', ended);
      done(message as T);
    });
  });
}

/**
 * Measures arms in turns.
 * @returns the labels of their backends too
 */
export async function measureArms(arms: readonly Arm[], options: TurnOptions): Promise<Turns & { labels: string[] }> {
  const children: ChildProcess[] = [];
  try {
    const labels: string[] = [];
    for (const arm of arms) {
      const { ERTACACHE_FUSED: _, ...env } = process.env;
      const child = fork(resolve(__dirname, '../run.cjs'), [resolve(__dirname, 'arm.ts'), JSON.stringify(arm)], {
        env: { ...env, ...(arm.kernels && { ERTACACHE_FUSED: arm.kernels }) },
      });
      children.push(child);
      labels.push((await answer<{ label: string }>(child)).label);
    }
    const asked = children.map(child => async () => {
      child.send('run');
      return (await answer<{ seconds: number }>(child)).seconds;
    });
    return { ...(await inTurns(asked, options)), labels };
  } finally {
    for (const child of children) child.kill();
  }
}
