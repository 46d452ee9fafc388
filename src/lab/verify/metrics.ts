import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { CheckpointError } from '../../errors';
import { meanSquaredError, overClips, psnr, ssim, ssimTorchmetrics } from '../../metrics';
import { createAlexNet, type NamedWeights } from '../../metrics/alexnet';
import { createLpips, normalised } from '../../metrics/lpips';
import { readLpipsWeights } from '../../metrics/lpips-weights';
import type { CaseRunner, GoldenCase, GoldenTensor, Produce } from './golden-case';
import { goldenClips, goldenImages } from './golden-pixels';

/** Runs a case of the group `metrics`: pictures, clips or LPIPS, distinguished by what the case holds. */
export const runMetrics: CaseRunner = async (golden, produce) => {
  if (golden.className === 'LPIPS') await runLpips(golden, produce);
  else if (input(golden, 'a').shape.length === 5) runClips(golden, produce);
  else runImages(golden, produce);
};

function input(golden: GoldenCase, name: string): GoldenTensor {
  const found = golden.inputs.get(name);
  if (found) return found;
  throw new CheckpointError('missing_key', `The case ${golden.name} has no input in.${name}.`);
}

/** One reference, and the pictures that are compared with it. */
function images(golden: GoldenCase) {
  return { reference: goldenImages(input(golden, 'a'))[0]!, others: goldenImages(input(golden, 'b')) };
}

function runImages(golden: GoldenCase, produce: Produce): void {
  const { reference, others } = images(golden);
  const metrics = { mse: meanSquaredError, psnr, ssim, ssim_torchmetrics: ssimTorchmetrics };
  for (const [name, metric] of Object.entries(metrics)) {
    produce(
      name,
      others.map(other => metric(reference, other)),
    );
  }
}

function runClips(golden: GoldenCase, produce: Produce): void {
  const others = goldenClips(input(golden, 'b'));
  const pairs = goldenClips(input(golden, 'a')).map((clip, v) => [clip, others[v]!] as const);
  for (const [name, metric] of Object.entries({ psnr, ssim })) {
    const { perFrame, perIndex, value } = overClips(metric, pairs);
    produce(`${name}_frames`, perFrame.flat());
    produce(`${name}_per_timestamp`, perIndex);
    produce(name, [value]);
  }
  produce('ssim_frames_torchmetrics', overClips(ssimTorchmetrics, pairs).perFrame.flat());
  produce('mse_frames', overClips(meanSquaredError, pairs).perFrame.flat());
}

async function runLpips(golden: GoldenCase, produce: Produce): Promise<void> {
  const { weights_from: from = 'weights.safetensors' } = golden.call as { weights_from?: string };
  const weights = await readLpipsWeights(join(golden.folder, from));
  const { reference, others } = images(golden);
  const lpips = createLpips(weights);
  try {
    const scores = [];
    for (const other of others) scores.push(await lpips.compare(reference, other));
    produce(
      'lpips',
      scores.map(s => s.value),
    );
    produce(
      'lpips_per_layer',
      scores.flatMap(s => s.perLayer),
    );
    produce(
      'lpips_spatial_mean',
      scores.map(s => s.spatial),
    );
    for (const [i, { map }] of scores.entries()) produce(`lpips_spatial_map_${i}`, map);
  } finally {
    lpips.dispose();
  }
  produceActivations(weights, golden, produce);
}

/** Mean activation of every channel of the reference picture, after each of the network's five taps. */
function produceActivations(weights: NamedWeights, golden: GoldenCase, produce: Produce): void {
  const net = createAlexNet(weights);
  try {
    tf.tidy(() => {
      const features = net.features(normalised(images(golden).reference));
      for (const [k, activation] of features.entries()) {
        produce(`features_relu${k + 1}_mean_abs`, tf.mean(tf.abs(activation), [0, 1, 2]));
      }
    });
  } finally {
    net.dispose();
  }
}
