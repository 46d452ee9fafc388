import { spawnSync } from 'node:child_process';
import * as tf from '@tensorflow/tfjs-core';
import { describeCpu } from '../../src/engine/machine';
import { VERSION } from '../../src/version';

/** The version of PyTorch; undefined where this Python has none. */
export function torchVersion(python: string | undefined): string | undefined {
  if (python === undefined) return undefined;
  const { status, stdout } = spawnSync(python, ['-c', 'import torch; print(torch.__version__)'], {
    encoding: 'utf8',
  });
  return status === 0 ? stdout.trim() : undefined;
}

/** One line on what figures were measured with. */
export function machineLine(others: readonly (string | undefined)[]): string {
  const { model, threads, features } = describeCpu();
  const versions = [`ertacache ${VERSION}`, `Node ${process.versions.node}`, `TensorFlow.js ${tf.version_core}`];
  return [`${model}, ${threads} cores (${features.join(' ')})`, ...versions, ...others.filter(Boolean)].join(', ');
}
