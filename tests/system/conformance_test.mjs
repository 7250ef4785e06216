// The Durable Streams protocol, by its authors' own conformance suite, against a server on SQLite.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "./server.mjs";

const here = dirname(fileURLToPath(import.meta.url));
// The suite of 0.3.6. What it has besides, six tests of subscriptions (webhooks and pull-wake), is for servers that offer them.
const tests = 332;

const directory = await mkdtemp(join(tmpdir(), "confab-conformance-"));
const server = await serve(join(directory, "data"), "--net.origins=*");
try {
  const report = join(directory, "report.json");
  const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
  const run = spawn(
    process.execPath,
    [vitest, "run", "--root", here, "--config", join(here, "conformance/vitest.config.mjs"), "--reporter=json",
     `--outputFile=${report}`],
    { stdio: "inherit", env: { ...process.env, CONFAB_URL: server.url, CI: "1" } });
  const status = await new Promise((resolve) => run.once("exit", resolve));
  const results = JSON.parse(await readFile(report, "utf8"));
  for (const x of results.testResults.flatMap((file) => file.assertionResults).filter((one) => one.status === "failed"))
    console.log(`failed: ${x.fullName}\n    ${x.failureMessages.join("\n").split("\n").slice(0, 6).join("\n    ")}`);
  console.log(`${results.numPassedTests} passed, ${results.numFailedTests} failed, ${results.numPendingTests} not run`);
  assert.equal(results.numFailedTests, 0, "failed tests");
  assert.equal(results.numPassedTests, tests, "passed tests");
  const not_run = results.testResults.flatMap((file) => file.assertionResults).filter((one) => one.status !== "passed");
  assert.deepEqual(not_run.filter((one) => !one.ancestorTitles.includes("Reserved subscription APIs")), [], "not run");
  assert.equal(status, 0, "vitest's status");
  assert.ok(server.running(), "the server runs");
} finally {
  await server.stop();
  await rm(directory, { recursive: true });
}
