import type { Client, LoadedModel, PolicyFiles, Progress } from 'ertacache/browser';
import { addressesOf, newClient, policyFiles } from '../engine/engine';
import { policies } from './model';

/** How far a job has come that takes minutes. */
export type JobState<R> =
  | { readonly state: 'idle' }
  | { readonly state: 'running'; readonly progress: Progress | undefined; readonly stop: () => void }
  | { readonly state: 'done'; readonly result: R; readonly stopped: boolean }
  | { readonly state: 'failed'; readonly text: string; readonly hint?: string | undefined };

/** A client with the model and its policies. */
export interface Bench {
  readonly client: Client;
  readonly card: LoadedModel;
}

/**
 * Runs a job in a worker of its own, so that pictures are drawn meanwhile; it ends with the job, and gives its memory
 * back.
 * @param name of the model, with those of its policies that were made or opened here too
 */
export async function inOwnWorker<R>(name: string, job: (bench: Bench) => Promise<R>): Promise<R> {
  const client = newClient();
  try {
    const { address, policies: listed } = addressesOf(name);
    const card = await client.load(address, { policies: listed });
    for (const { hash } of policies.peek().filter(policy => policy.own && policy.model === name)) {
      await client.addPolicy(await policyFiles(hash, name));
    }
    return await job({ client, card });
  } finally {
    client.terminate();
  }
}

/** What is told of an error. */
export function failureOf(error: unknown): { readonly text: string; readonly hint?: string | undefined } {
  const { message, hint } = error as { message?: string; hint?: string };
  return { text: message ?? String(error), hint };
}

/** The files of a policy by their names. */
export function namedFiles({ name = 'policy', json, coefficients }: PolicyFiles) {
  return [
    { name: `${name}.json`, bytes: json as BlobPart, type: 'application/json' },
    ...(coefficients
      ? [{ name: `${name}.safetensors`, bytes: coefficients as BlobPart, type: 'application/octet-stream' }]
      : []),
  ];
}
