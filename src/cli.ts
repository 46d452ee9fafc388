#!/usr/bin/env node
import { run } from './cli/program';

// A reader that has seen enough, as `head` has, is no fault: what the run writes to files goes on.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

process.exitCode = await run(process.argv);
