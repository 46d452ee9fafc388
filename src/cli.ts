#!/usr/bin/env node
import { run } from './cli/program';

process.exitCode = await run(process.argv);
