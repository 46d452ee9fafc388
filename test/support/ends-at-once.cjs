'use strict';
// A process that draws nothing and ends.
process.exit(3);
