'use strict';
/**
 * Tries one backend in a process of its own, so that one that crashes takes nothing else down.
 *
 * node probe-child.cjs '{"core": …, "backend": "tensorflow"|"webgpu"|"wasm"|"cpu", "module": …, "link": bool, "measure": bool}'
 * Prints one line of JSON as its last line: {"version", "gpu", "gflops"} or {"error"}.
 * With "trials", runs those in place of the check, and prints a line `trial …` at the start and for each.
 * Plain JavaScript because it also runs from the source tree, where nothing translates TypeScript for a child.
 */
const { writeSync } = require('node:fs');
const { dirname, sep } = require('node:path');

/** Loads the backend and makes it the current one. */
async function open(tf, { backend, module, link, dawn }) {
  const gpu = dawn && (await require('./webgpu-in-node.cjs')(dawn));
  if (backend === 'tensorflow') require('./legacy-util.cjs')();
  const loaded = require(module);
  if (link) loaded(tf, { quiet: false });
  if (backend === 'wasm') loaded.setWasmPaths(dirname(module) + sep);
  if (!(await tf.setBackend(backend))) throw new Error(`tfjs could not start its backend '${backend}'.`);
  if (gpu) return { version: gpu.name, gpu: !gpu.software, software: gpu.software };
  if (backend !== 'tensorflow') return { version: loaded.version_wasm ?? loaded.version_cpu };
  return { version: tf.backend().binding.TF_Version, gpu: tf.backend().isUsingGpuDevice };
}

/** A matMul and a convolution whose results are known exactly. */
async function check(tf) {
  const close = async (name, tensor, expected) => {
    const got = Array.from(await tensor.data());
    const same = got.length === expected.length && got.every((value, i) => Math.abs(value - expected[i]) < 1e-4);
    if (!same) throw new Error(`${name} gave ${got} instead of ${expected}.`);
  };
  const a = tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]);
  await close('matMul', tf.matMul(a, a, false, true), [14, 32, 32, 77]);
  const image = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 3, 1]);
  const kernel = tf.tensor4d([1, 0, 0, -1], [2, 2, 1, 1]);
  await close('conv2d', tf.conv2d(image, kernel, 1, 'valid'), [-4, -4, -4, -4]);
  await close('softmax', tf.softmax(tf.tensor1d([0, Math.log(3)])), [0.25, 0.75]);
}

/** Multiplications and additions per second of a square matMul, in 1e9; the best of what fits in about a second. */
async function measure(tf, backend) {
  const size = { tensorflow: 1536, webgpu: 1536, wasm: 512, cpu: 128 }[backend];
  const a = tf.randomUniform([size, size], -1, 1, 'float32', 1);
  const once = async () => {
    const start = process.hrtime.bigint();
    const product = tf.matMul(a, a);
    await tf.slice(product, [0, 0], [1, 1]).data();
    product.dispose();
    return Number(process.hrtime.bigint() - start) / 1e9;
  };
  await once();
  let best = Number.POSITIVE_INFINITY;
  const end = Date.now() + 900;
  do best = Math.min(best, await once());
  while (Date.now() < end);
  return (2 * size ** 3) / best / 1e9;
}

const singleOutput = (backend, op, attributes, inputs) => backend.executeSingleOutput(op, attributes, inputs);

/** A bfloat16 result, registered as float32: tfjs has no such type. */
function narrowOutput(backend, op, attributes, inputs) {
  const [output] = backend.binding.executeOp(op, attributes, backend.getInputTensorIds(inputs), 1);
  return backend.createOutputTensor({ ...output, dtype: 1 });
}

/** Runs operations of TensorFlow's own on made-up numbers, and prints every `stride`th of each result. */
function runTrials(tf, { trials, stride }) {
  writeSync(1, '\ntrial true\n');
  for (const { shapes, steps } of trials) {
    let line;
    try {
      const values = shapes.map((shape, k) => {
        const count = shape.reduce((a, b) => a * b, 1);
        return tf.tensor(
          Float32Array.from({ length: count }, (_, i) => 2 * Math.sin(0.7 * i + k)),
          shape,
        );
      });
      for (const { op, attributes, inputs, isNarrow } of steps) {
        const given = inputs.map(i => values[i]);
        values.push((isNarrow ? narrowOutput : singleOutput)(tf.backend(), op, attributes, given));
      }
      line = JSON.stringify(Array.from(values.at(-1).dataSync()).filter((_, i) => i % stride === 0));
    } catch {
      line = 'null';
    }
    // At once: the next one may end the process.
    writeSync(1, `\ntrial ${line}\n`);
  }
}

async function main(request) {
  const tf = require(request.core);
  const about = await open(tf, request);
  if (request.trials) {
    runTrials(tf, request);
    return about;
  }
  await check(tf);
  return { ...about, ...(request.measure && !about.software && { gflops: await measure(tf, request.backend) }) };
}

main(JSON.parse(process.argv[2])).then(
  // Dawn would keep the process alive.
  result => {
    writeSync(1, `\n${JSON.stringify(result)}\n`);
    process.exit(0);
  },
  error => {
    writeSync(1, `\n${JSON.stringify({ error: String(error?.message ?? error).split('\n')[0] })}\n`);
    process.exit(0);
  },
);
