#!/usr/bin/env node
import { endOnInterrupt } from './cli/interrupt';

endOnInterrupt();

// A reader that has seen enough, as `head` has, is no fault: what the run writes to files goes on.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

// Loaded after the handlers are there: it is large, and Ctrl-C may come meanwhile.
const { run } = await import('./cli/program');
process.exitCode = await run(process.argv);
