'use strict';
// The process that draws, from its sources.
require('./typescript.cjs');
require('../../src/server/workers/draw-worker.ts');
