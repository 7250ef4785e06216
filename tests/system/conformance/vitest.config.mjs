export default {
  test: {
    include: ["conformance/*.test.js"],
    // A stream's time to live is waited for.
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
};
