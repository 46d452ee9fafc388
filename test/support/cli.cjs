'use strict';
// The command line from its sources, in a process of its own: cli.cjs ARGUMENTS
require('./typescript.cjs');
const { run } = require('../../src/cli/program.ts');

run(process.argv).then(code => {
  process.exitCode = code;
});
