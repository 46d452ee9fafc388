#!/usr/bin/env node
import { endOnInterrupt } from './cli/interrupt';
import { heedStreams } from './cli/streams';

endOnInterrupt();
const codeOf = heedStreams(process);

// Loaded after the handlers are there: it is large, and Ctrl-C may come meanwhile.
const { run } = await import('./cli/program');
process.exitCode = codeOf(await run(process.argv));
