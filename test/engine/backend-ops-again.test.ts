// The same operations from a second test file: it may share a worker process, and so the loaded addon, with the first.
import { describeOnBackends } from '../support/backends';
import { defineOpTests } from './ops';

describeOnBackends('operations, from a second file', defineOpTests);
