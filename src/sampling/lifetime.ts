import { UsageError } from '../errors';
import { isObject, requireObject, wrongArgument } from '../io/arguments';
import type { Job, Pipeline } from './pipeline';

/**
 * A pipeline that says so when it is used after it was disposed, where its tensors would only say that they are gone,
 * and that may be disposed twice. Its jobs end with it.
 */
export function withLifetime(pipeline: Pipeline): Pipeline {
  let isDisposed = false;
  const requireAlive = (): void => {
    if (!isDisposed) return;
    throw new UsageError(`The model "${pipeline.info.id}" was used after it was disposed.`, {
      hint: 'Dispose a model when all is drawn, or load it again.',
    });
  };
  const { encodePrompts } = pipeline;
  return {
    ...pipeline,
    schedule(request) {
      requireObject('request', request, 'an object with steps and guidance');
      return pipeline.schedule(request);
    },
    async prepare(...given) {
      requireAlive();
      return livingJob(await pipeline.prepare(...given), requireAlive);
    },
    ...(encodePrompts && {
      async encodePrompts(...given) {
        requireAlive();
        await encodePrompts(...given);
      },
    }),
    async decode(...given) {
      requireAlive();
      return pipeline.decode(...given);
    },
    dispose() {
      if (isDisposed) return;
      isDisposed = true;
      pipeline.dispose();
    },
  };
}

function livingJob(job: Job, requireAlive: () => void): Job {
  return {
    ...job,
    branches: job.branches.map(branch => ({
      ...branch,
      evaluate(...given) {
        requireAlive();
        return branch.evaluate(...given);
      },
    })),
  };
}

/** @throws UsageError unless a value is a loaded model */
export function requirePipeline(name: string, value: unknown): asserts value is Pipeline {
  if (isObject(value) && typeof value.prepare === 'function' && isObject(value.info)) return;
  throw wrongArgument(name, value, 'a loaded model', 'Load one first: `const model = await loadModel()`.');
}
