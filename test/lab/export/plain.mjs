// Runs a graph model in plain TensorFlow.js, in a process of its own that imports no line of ertacache.
// node plain.mjs BACKEND < jobs.json; a job is { folder, calls } or { folder, run }, and the answer is JSON.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { loadGraphModel } from '@tensorflow/tfjs-converter';
import * as tf from '@tensorflow/tfjs-core';

const [backend] = process.argv.slice(2);
if (backend === 'cpu') await import('@tensorflow/tfjs-backend-cpu');
else {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/`);
}
await tf.setBackend(backend);

const filesOf = folder => ({
  async load() {
    const json = JSON.parse(readFileSync(`${folder}/model.json`, 'utf8'));
    const read = path => Uint8Array.from(readFileSync(`${folder}/${path}`)).buffer;
    return tf.io.getModelArtifactsForJSON(json, async manifest => [
      tf.io.getWeightSpecs(manifest),
      manifest.flatMap(group => group.paths).map(read),
    ]);
  },
});

const tensors = inputs =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, { data, shape }]) => [name, tf.tensor(data, shape, 'float32')]),
  );

/** Flow matching by Euler steps; a reused step adds the last change of the blocks to what enters them now. */
function sample(model, { conditions, latents, sigmas, reused }) {
  const given = tensors(conditions);
  let x = tf.tensor(latents.data, latents.shape, 'float32');
  let change;
  reused.forEach((isReused, i) => {
    const inputs = { ...given, sample: x, timestep: tf.fill([x.shape[0]], 1000 * sigmas[i]) };
    let output;
    if (isReused) {
      const blocks = tf.add(model.execute(inputs, 'embed'), change);
      output = model.execute({ ...inputs, blocks }, 'output');
    } else {
      const [embed, blocks, computed] = model.execute(inputs, ['embed', 'blocks', 'output']);
      change = tf.sub(blocks, embed);
      output = computed;
    }
    const velocity = tf.slice(
      output,
      x.shape.map(() => 0),
      x.shape,
    );
    x = tf.add(x, tf.mul(velocity, sigmas[i + 1] - sigmas[i]));
  });
  return x;
}

async function answer({ folder, calls, run }) {
  const model = await loadGraphModel(filesOf(folder));
  const before = tf.memory().numTensors;
  const call = ({ inputs, outputs }) => tf.tidy(() => [...model.execute(tensors(inputs), outputs).dataSync()]);
  const results = run ? [tf.tidy(() => [...sample(model, run).dataSync()])] : calls.map(call);
  const leaked = tf.memory().numTensors - before;
  const { inputs, outputs } = model.signature;
  model.dispose();
  return { results, leaked, inputs, outputs: Object.keys(outputs) };
}

const answers = [];
for (const job of JSON.parse(readFileSync(0, 'utf8'))) answers.push(await answer(job));
process.stdout.write(JSON.stringify(answers));
