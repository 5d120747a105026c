/** Jest runs what tsc has written: no transformer, real ES modules. */
export default {
  rootDir: 'dist',
  testMatch: ['<rootDir>/test/**/*.test.js'],
  transform: {},
  testTimeout: 300_000,
  maxWorkers: 2,
  watchman: false,
};
