import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { openFile } from '../../io/node-file';
import { parseConfig } from '../../io/parse-config';
import { autoencoderOf } from '../../models/autoencoders';
import type { Autoencoder, CodeOptions } from '../../models/vae/autoencoder';
import { fromFrames } from '../../models/vae/frames';
import type { Tiling } from '../../models/vae/tiling';
import type { Frames } from '../../nn/conv3d';
import { release, tidy } from '../../nn/scope';
import { loadStore } from '../../weights/load';
import { parseConfigJson } from '../../weights/model-config';
import { safetensorsSource } from '../../weights/safetensors-source';
import type { CaseRunner, GoldenCase, Produce } from './golden-case';

/** Results inside the network whose names in a case are not the module's own. */
const CASE_NAMES: Readonly<Record<string, string>> = {
  'mid_block.attentions.0': 'mid_attn',
  conv_norm_out: 'norm_out',
};

function caseName(name: string): string {
  if (name === 'spatial_vae.module.moments') return 'spatial_moments';
  const bare = name.replace(/^(spatial_vae\.module|temporal_vae)\./, '').replace(/^(encoder|decoder)\./, '');
  return CASE_NAMES[bare] ?? bare;
}

/** Gathers what the network shows: one list of frames for each row of the batch. */
function gathering(): { watch: NonNullable<CodeOptions['watch']>; produceAll(run: string, produce: Produce): void } {
  const seen = new Map<string, tf.Tensor[][]>();
  return {
    watch(name, frames, row) {
      const rows = seen.get(name) ?? [];
      seen.set(name, rows);
      rows[row] ??= [];
      rows[row].push(...frames.map(frame => tf.keep(frame.clone())));
    },
    produceAll(run, produce) {
      for (const [name, rows] of seen) {
        const whole = name === 'spatial_vae.module.moments' ? asImages(rows.flat()) : asVideos(rows);
        if (whole) produce(`${run}.${caseName(name)}`, whole);
        release([whole, rows]);
      }
    },
  };
}

/** `[B, C, T, H, W]`; nothing when the network showed no frame. */
function asVideos(rows: readonly Frames[]): tf.Tensor | undefined {
  if (rows.some(frames => frames.length === 0)) return undefined;
  return tidy(() => tf.stack(rows.map(fromFrames)));
}

/** `[T, C, H, W]`: the reference's spatial network takes frames for images. */
function asImages(frames: Frames): tf.Tensor {
  return tidy(() => tf.concat(frames.map(frame => tf.transpose(frame, [0, 3, 1, 2]))));
}

/** Frees what `work` returned after `use`. */
async function using<T extends tf.Tensor>(made: T | Promise<T>, use: (t: T) => void | Promise<void>): Promise<void> {
  const t = await made;
  try {
    await use(t);
  } finally {
    t.dispose();
  }
}

/** The notes of a case: the way of tiling, or the call of a run. */
function notes(golden: GoldenCase): Readonly<Record<string, Readonly<Record<string, number>>>> {
  return (golden.call.notes ?? {}) as Record<string, Record<string, number>>;
}

/** The reference's ways of saying how a latent is tiled. */
function tilingOf(given: Readonly<Record<string, number>>, space: number): Tiling {
  const side = (name: 'height' | 'width'): [tile: number, stride: number] => {
    const sample = given[`tile_sample_min_${name}`] ?? given.tile_sample_min_size;
    const tile = given[`tile_latent_min_${name}`] ?? given.tile_latent_min_size ?? Math.floor((sample ?? 0) / space);
    const step = given[`tile_sample_stride_${name}`];
    const overlap = given[`tile_overlap_factor_${name}`] ?? given.tile_overlap_factor ?? 0;
    return [tile, step === undefined ? Math.floor(tile * (1 - overlap)) : Math.floor(step / space)];
  };
  const [height, width] = [side('height'), side('width')];
  return { tile: [height[0], width[0]], stride: [height[1], width[1]] };
}

async function decodeRun(golden: GoldenCase, run: string, model: Autoencoder, produce: Produce): Promise<void> {
  const input = (name: string): tf.Tensor => {
    const { shape, data } = golden.inputs.get(`${run}.${name}`)!;
    return tf.tensor(data, [...shape]);
  };
  const frames = notes(golden)[run]?.num_frames;
  const decode = async (z: tf.Tensor): Promise<void> => {
    if (run === 'tiled') {
      const tiling = tilingOf(notes(golden).tiled ?? {}, model.compression.space);
      return using(model.decode(z, { tiling }), sample => produce('tiled.sample', sample));
    }
    const gathered = gathering();
    await using(model.decode(z, { frames, watch: gathered.watch }), sample => produce(`${run}.sample`, sample));
    gathered.produceAll(run, produce);
  };

  // Open-Sora's `z` is what the diffusion model leaves; the others give that, if at all, beside it.
  const fromLatents = golden.expected.has(`${run}.vae_input`);
  const hasLatents = golden.inputs.has(`${run}.latents`);
  if (!fromLatents || hasLatents) await using(input('z'), decode);
  if (!fromLatents) return;
  await using(input(hasLatents ? 'latents' : 'z'), latents =>
    using(model.denormalise(latents), async z => {
      produce(`${run}.vae_input`, z);
      if (!hasLatents) return decode(z);
      await using(model.decode(z), sample => produce(`${run}.sample_from_latents`, sample));
    }),
  );
}

async function encodeRun(golden: GoldenCase, run: string, model: Autoencoder, produce: Produce): Promise<void> {
  const { shape, data } = (golden.inputs.get(`${run}.image`) ?? golden.inputs.get(`${run}.video`))!;
  const gathered = gathering();
  await using(tf.tensor(data, [...shape]), async pixels => {
    const { mean, logvar } = await model.encode(pixels, { watch: gathered.watch });
    produce(`${run}.mean`, mean);
    produce(`${run}.logvar`, logvar);
    await using(model.normalise(mean), latents => produce(`${run}.latents_mode`, latents));
    release([mean, logvar]);
  });
  // The reference has no name of its own for the moments of its second network.
  gathered.produceAll(run, (name, value) => {
    produce(name, value);
    if (name === `${run}.moments`) produce(`${run}.temporal_moments`, value);
  });
}

/** Names of the runs of a case, such as `d0`, `e1`, `tiled`. */
function runsOf(golden: GoldenCase): string[] {
  return [...new Set([...golden.inputs.keys()].map(name => name.split('.')[0] as string))];
}

/** Runs a case of the group `vaes`. */
export const runAutoencoder: CaseRunner = async (golden, produce) => {
  const where = join(golden.folder, 'config.json');
  const { className } = parseConfigJson(JSON.stringify(golden.config), where);
  const model = autoencoderOf(className);
  const config = parseConfig(model.schema, golden.config, where);
  const path = join(golden.folder, 'weights.safetensors');
  const source = await safetensorsSource(await openFile(path));
  const weights = await loadStore(source, model.parameters(config), { where: path }).finally(() => source.close());
  try {
    const built = model.create(config, weights);
    for (const run of runsOf(golden)) {
      const work = golden.inputs.has(`${run}.z`) ? decodeRun : encodeRun;
      await work(golden, run, built, produce);
    }
  } finally {
    weights.dispose();
  }
};
