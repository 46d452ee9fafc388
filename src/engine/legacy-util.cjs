'use strict';
/**
 * tfjs-node 4.22 calls two functions of `node:util` that Node 23 removed and earlier ones warn of. This puts equal ones
 * in their place. Plain JavaScript because it also runs in the child that tries a backend, from the source tree too.
 */
const util = require('node:util');

module.exports = function supplyLegacyUtil() {
  const legacy = { isNullOrUndefined: value => value === null || value === undefined, isArray: Array.isArray };
  for (const [name, value] of Object.entries(legacy)) {
    Object.defineProperty(util, name, { value, configurable: true, writable: true, enumerable: false });
  }
};
