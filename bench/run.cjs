'use strict';
// Runs a TypeScript file without a build: node bench/run.cjs bench/flux-offload.ts --help
const { readFileSync } = require('node:fs');
const Module = require('node:module');
const { resolve } = require('node:path');
const { transformSync } = require('@swc/core');

Module._extensions['.ts'] = (module, filename) => {
  const { code } = transformSync(readFileSync(filename, 'utf8'), {
    filename,
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    module: { type: 'commonjs' },
  });
  module._compile(code, filename);
};

const [, , file, ...args] = process.argv;
process.argv = [process.argv[0], resolve(file), ...args];
require(resolve(file));
