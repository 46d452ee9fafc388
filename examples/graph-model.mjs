// The embedded model in plain TensorFlow.js: nothing of ertacache runs here.
// Needs `npm install @tensorflow/tfjs-core @tensorflow/tfjs-converter @tensorflow/tfjs-backend-wasm sharp`.
// node examples/graph-model.mjs converted-models/fluent-emoji "red heart" heart.png [noise.bin: 64 x 192 float32, otherwise drawn]
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { loadGraphModel } from '@tensorflow/tfjs-converter';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';

export async function draw(folder, prompt, { steps = 30, guidance = 3, noise = tf.randomNormal([1, 64, 192]) } = {}) {
  const json = async path => JSON.parse(await readFile(`${folder}/${path}`, 'utf8'));
  const bytes = async path => Uint8Array.from(await readFile(`${folder}/${path}`)).buffer;
  const weights = async g => [tf.io.getWeightSpecs(g), await Promise.all(g.flatMap(({ paths }) => paths).map(bytes))];
  const model = await loadGraphModel({
    load: async () => tf.io.getModelArtifactsForJSON(await json('model.json'), weights),
  });
  const [vocabulary, words] = [await json('text/vocab.json'), await json('text/tokenizer_config.json')];
  const encode = text => {
    const found = (text.toLowerCase().match(/[a-z0-9]+/g) ?? []).filter(word => !words.stop_words.includes(word));
    const known = found.slice(0, words.max_length).flatMap(word => vocabulary[word] ?? []);
    return [...(known[0] ? known : [words.null_id]), ...Array(words.max_length).fill(0)].slice(0, words.max_length);
  };
  const ids = tf.tensor2d([encode(prompt), encode('')], undefined, 'int32');
  const encoder_hidden_states = tf.gather(model.weights['text/embeddings.weight'][0], ids);
  const real = tf.expandDims(tf.cast(tf.notEqual(ids, 0), 'float32'), -1);
  const pooled_projections = tf.div(tf.sum(tf.mul(encoder_hidden_states, real), 1), tf.sum(real, 1));
  const img_ids = tf.tensor2d(Array.from({ length: 64 }, (_, n) => [0, n >> 3, n % 8]));
  const step = (x, i) => {
    const inputs = { sample: tf.concat([x, x]), timestep: tf.fill([2], 1000 * (1 - i / steps)) };
    const outputs = model.execute({ ...inputs, encoder_hidden_states, pooled_projections, img_ids });
    const [prompted, free] = tf.split(outputs, 2);
    // The model predicts the clean picture, and the last step lands on it.
    return tf.add(x, tf.div(tf.sub(tf.add(free, tf.mul(tf.sub(prompted, free), guidance)), x), steps - i));
  };
  const x = Array.from({ length: steps }, (_, i) => i).reduce((last, i) => tf.tidy(() => step(last, i)), noise);
  const pixels = tf.reshape(tf.transpose(tf.reshape(x, [8, 8, 8, 8, 3]), [0, 2, 1, 3, 4]), [64, 64, 3]);
  return tf.round(tf.mul(tf.clipByValue(tf.add(tf.div(pixels, 2), 0.5), 0, 1), 255)).dataSync();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , folder, prompt, out, start] = process.argv;
  await tf.setBackend('wasm');
  const values = start && new Float32Array(Uint8Array.from(await readFile(start)).buffer);
  const pixels = Uint8Array.from(await draw(folder, prompt, { noise: values && tf.tensor(values, [1, 64, 192]) }));
  await (await import('sharp')).default(pixels, { raw: { width: 64, height: 64, channels: 3 } }).toFile(out);
}
