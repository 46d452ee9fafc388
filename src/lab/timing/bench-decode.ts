import * as tf from '@tensorflow/tfjs-core';
import { peakMemory } from '../../engine/memory';
import { median } from '../../metrics/statistics';
import { autoencoderOf, encoderOnly } from '../../models/autoencoders';
import type { Autoencoder } from '../../models/vae/autoencoder';
import { needsTiles } from '../../models/vae/tiling';
import { settle } from '../../nn/settle';
import { torchGenerator } from '../../random/torch-generator';
import type { PictureSize } from '../../sampling/pipeline';
import { loadStore } from '../../weights/load';
import { syntheticStore } from '../../weights/memory-store';
import type { ModelComponent } from '../../weights/model-folder';
import type { WeightStore } from '../../weights/parameters';
import type { Described } from './bench-model';

/** Time and memory of turning one latent into pixels. */
export interface DecodeReport {
  readonly size: PictureSize;
  readonly tiled: boolean;
  readonly seconds: number;
  readonly runs: number;
  readonly weightBytes: number;
  /** Largest resident size of the process so far. */
  readonly peakBytes: number;
}

export interface DecodeBenchOptions {
  readonly size: PictureSize;
  readonly runs: number;
  /** Told how much of a run is done. */
  readonly onProgress?: ((what: string) => void) | undefined;
}

/** An autoencoder, of which the half that decodes is loaded, and its weights. */
export interface LoadedAutoencoder {
  readonly autoencoder: Autoencoder;
  readonly store: WeightStore;
}

/** An autoencoder of this configuration with made-up weights. */
export function syntheticAutoencoder({ className, config }: Described): LoadedAutoencoder {
  const known = autoencoderOf(className);
  const parsed = known.schema.parse(config);
  const store = syntheticStore(decoding(known.parameters(parsed)), 1);
  return { autoencoder: known.create(parsed, store), store };
}

/** That of a folder. */
export async function loadAutoencoder({
  className,
  config,
  source,
  where,
}: ModelComponent): Promise<LoadedAutoencoder> {
  const known = autoencoderOf(className);
  const parsed = known.schema.parse(config);
  const store = await loadStore(source, decoding(known.parameters(parsed)), { where, ignore: [encoderOnly] });
  return { autoencoder: known.create(parsed, store), store };
}

const decoding = <T extends { readonly name: string }>(table: readonly T[]): T[] =>
  table.filter(({ name }) => !encoderOnly.test(name));

/** Decodes a latent of noise, in tiles where it is larger than one, and releases the autoencoder. */
export async function benchDecode(
  load: () => Promise<LoadedAutoencoder>,
  { size, runs, onProgress = () => {} }: DecodeBenchOptions,
): Promise<DecodeReport> {
  onProgress('loading the autoencoder');
  const { autoencoder, store } = await load();
  const shape = autoencoder.latentShape(size);
  const latents = tf.tensor(torchGenerator(0).normal(shape), [1, ...shape]);
  const times: number[] = [];
  try {
    for (let run = 1; run <= runs; run++) {
      const started = performance.now();
      const pixels = await autoencoder.decode(latents, {
        tiling: true,
        onChunk: ({ done, total }) =>
          onProgress(`decoding, run ${run} of ${runs}: ${Math.round((100 * done) / total)} %`),
      });
      await settle(pixels);
      times.push((performance.now() - started) / 1000);
      pixels.dispose();
    }
  } finally {
    latents.dispose();
    store.dispose();
  }
  const [, , height, width] = shape;
  return {
    size,
    tiled: needsTiles(autoencoder.tiling, height, width),
    seconds: median(times),
    runs,
    weightBytes: store.bytes,
    peakBytes: peakMemory(),
  };
}
