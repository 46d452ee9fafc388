'use strict';
/**
 * One thread of the threaded WebAssembly module, in Node. tfjs keeps the text of its worker as a string and hands the
 * module's script over as a blob, neither of which Node can run; both are files of the package as well.
 * Plain JavaScript beside the bundle, because a worker is started from a file.
 */
const { createRequire } = require('node:module');

const FOLDER = '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd';
const script = require.resolve(`${FOLDER}.js`);
const { wasmWorkerContents } = require(`${FOLDER}.worker.js`);

URL.createObjectURL = () => script;
URL.revokeObjectURL = () => {};
Object.assign(globalThis, { require: createRequire(script), __filename: script });
// A classic script that puts its handlers on the global scope; its line ends were unescaped when it became a string.
// biome-ignore lint/security/noGlobalEval: it is the package's own text
// biome-ignore lint/complexity/noCommaOperator: an indirect call, so that it runs in the global scope
(0, eval)(wasmWorkerContents.replace(/\n/g, '\\n'));
