'use strict';
// Runs a TypeScript file without a build: node bench/run.cjs bench/flux-offload.ts --help
const { resolve } = require('node:path');
require('../test/support/typescript.cjs');

const [, , file, ...args] = process.argv;
process.argv = [process.argv[0], resolve(file), ...args];
require(resolve(file));
