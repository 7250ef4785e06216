// The Durable Streams protocol, by its authors' own conformance suite, against a server on SQLite and one whose log is in Redis.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { serve } from "./server.mjs";

const here = dirname(fileURLToPath(import.meta.url));
// The suite of 0.3.6. What it has besides, six tests of subscriptions (webhooks and pull-wake), is for servers that offer them.
const tests = 332;

/** Runs the suite against a server of its own; they mostly wait, so both run at once. */
async function conforms(log, directory, ...options) {
  const server = await serve(join(directory, log), "--net.origins=*", ...options);
  try {
    const report = join(directory, `${log}.json`);
    const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
    const run = spawn(
      process.execPath,
      [vitest, "run", "--root", here, "--config", join(here, "conformance/vitest.config.mjs"), "--reporter=json",
       `--outputFile=${report}`],
      { stdio: "inherit", env: { ...process.env, CONFAB_URL: server.url, CI: "1" } });
    const status = await new Promise((resolve) => run.once("exit", resolve));
    const results = JSON.parse(await readFile(report, "utf8"));
    const all = results.testResults.flatMap((file) => file.assertionResults);
    for (const x of all.filter((one) => one.status === "failed"))
      console.log(`${log}: failed: ${x.fullName}\n    ${x.failureMessages.join("\n").split("\n").slice(0, 6).join("\n    ")}`);
    console.log(`${log}: ${results.numPassedTests} passed, ${results.numFailedTests} failed, ${results.numPendingTests} not run`);
    assert.equal(results.numFailedTests, 0, "failed tests");
    assert.equal(results.numPassedTests, tests, "passed tests");
    const not_run = all.filter((one) => one.status !== "passed");
    assert.deepEqual(not_run.filter((one) => !one.ancestorTitles.includes("Reserved subscription APIs")), [], "not run");
    assert.equal(status, 0, "vitest's status");
    assert.ok(server.running(), "the server runs");
  } finally {
    await server.stop();
  }
}

const directory = await mkdtemp(join(tmpdir(), "confab-conformance-"));
const socket = join(directory, "redis.sock");
const redis = spawn("redis-server", ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", directory],
                    { stdio: "ignore" });
try {
  while (!existsSync(socket)) {
    assert.ok(redis.exitCode === null, "redis-server runs");
    await setTimeout(20);
  }
  const done = await Promise.allSettled([
    conforms("sqlite", directory),
    conforms("redis", directory, "--redis.role=log", `--redis.address=${socket}`),
  ]);
  for (const x of done) if (x.status === "rejected") throw x.reason;
} finally {
  redis.kill();
  await rm(directory, { recursive: true });
}
