'use strict';
// A worker of a queue from its sources, in a process of its own: fleet-worker.cjs OPTIONS-AS-JSON
require('./typescript.cjs');
const { join } = require('node:path');
const { queueAddress } = require('../../src/fleet/address.ts');
const { workerPool } = require('../../src/fleet/pool.ts');
const { openQueue } = require('../../src/fleet/queue.ts');
const { startFleetWorker } = require('../../src/fleet/worker.ts');

const { queue: url, place, models, folders, ...drawing } = JSON.parse(process.argv[2]);
const log = { info() {}, warn() {}, error: fields => process.stderr.write(`${JSON.stringify(fields)}\n`) };

(async () => {
  const queue = await openQueue({ address: queueAddress(url), place });
  const { runner } = await workerPool({ ...drawing, models: folders }, log, join(__dirname, 'draw-worker.cjs'));
  await runner.begun();
  await startFleetWorker({ queue, runner, models, log });
  process.stderr.write('ready\n');
})();
