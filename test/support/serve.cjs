'use strict';
// A server from its sources, in a process of its own: serve.cjs OPTIONS-AS-JSON
require('./typescript.cjs');
const { join } = require('node:path');
const { makeServer } = require('../../src/server/server.ts');
const { listen } = require('../../src/server/listen.ts');

(async () => {
  const server = await makeServer(JSON.parse(process.argv[2]), join(__dirname, 'draw-worker.cjs'));
  const { url } = await listen(server, { host: '127.0.0.1', port: 0 });
  process.stderr.write(`listening on ${url}\n`);
})();
