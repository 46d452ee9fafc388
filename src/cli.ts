#!/usr/bin/env node
import { run } from './cli/program';
import { heedStreams } from './cli/streams';

const codeOf = heedStreams(process);
process.exitCode = codeOf(await run(process.argv));
