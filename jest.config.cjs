/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: '<rootDir>/test/support/environment.ts',
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  // Not the whole folder: a virtualenv with TensorFlow may lie in it.
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
  // jest cannot load these as the modules they are; each brings a bundle of itself that it can.
  moduleNameMapper: { '^(vega|vega-lite)$': '<rootDir>/node_modules/$1/build/$1.min.js' },
  testTimeout: 60_000,
  maxWorkers: 2,
};
