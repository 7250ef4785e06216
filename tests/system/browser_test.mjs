// Two tabs on the page of `/` chat in a real browser; connections are dropped and the server is killed, and every
// entry must show once, in order, in both.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const confab = process.env.CONFAB ?? new URL("../../build/release/confab", import.meta.url).pathname;
const step_ms = 20_000;
const conversation = "room:browser/1";

const scratch = await mkdtemp(join(tmpdir(), "confab-browser-"));
let server = null;
let browser = null;

/// Starts the server and returns the address that it prints; `port` 0 picks a free one.
async function start(port) {
  server = spawn(confab, ["serve", `--net.port=${port}`, `--store.directory=${join(scratch, "data")}`],
                 { stdio: ["ignore", "pipe", "inherit"] });
  const limit = AbortSignal.timeout(step_ms);
  const exited = once(server, "exit", { signal: limit }).then(([status]) => {
    throw new Error(`the server ended with ${status} before it listened`);
  });
  const listening = (async () => {
    for await (const line of createInterface({ input: server.stdout })) {
      const found = /^listening on (http:\/\/\S+)$/.exec(line);
      if (found) return found[1];
    }
    throw new Error("the server printed no address");
  })();
  exited.catch(() => {});
  return await Promise.race([listening, exited]);
}

async function stop(signal) {
  if (!server || server.exitCode !== null || server.signalCode !== null) return;
  const exited = once(server, "exit", { signal: AbortSignal.timeout(step_ms) });
  server.kill(signal);
  await exited;
}

/// A tab in a window of its own: one behind another tab would be painted once a second only.
async function open_tab(address, name) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(step_ms);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(`${address}/#${encodeURIComponent(conversation)}`);
  await page.fill("#name", name);
  const tab = {
    name, page, complaints,
    state: (wanted) => page.waitForSelector(`#state[data-state="${wanted}"]`),
    say: async (text) => { await page.fill("#text", text); await page.click("#send"); },
    seqs: () => page.$$eval("#log li[data-seq]", (items) => items.map((item) => Number(item.dataset.seq))),
    texts: () => page.$$eval("#log li[data-seq] .said", (items) => items.map((item) => item.textContent)),
    by: (seq) => page.getAttribute(`#log li[data-seq="${seq}"]`, "data-by"),
    arrived: (seq) => page.waitForSelector(`#log li[data-seq="${seq}"]`, { state: "attached" }),
    answered: () => page.waitForFunction(() => document.getElementById("outbox").textContent === ""),
  };
  await tab.state("live");
  return tab;
}

async function check_complete(tabs, through) {
  const expected = Array.from({ length: through }, (_, index) => index + 1);
  for (const tab of tabs) {
    await tab.arrived(through);
    assert.deepEqual(await tab.seqs(), expected, `${tab.name} shows every seq once, in order`);
    assert.equal(await tab.page.getAttribute("#log", "data-breaches"), null);
    assert.deepEqual(tab.complaints, [], `${tab.name} has no script errors`);
  }
  assert.deepEqual(await tabs[0].texts(), await tabs[1].texts(), "both tabs show the same");
}

/// Posts over HTTP, as another program would.
async function post(address, text) {
  const answer = await fetch(`${address}/v1/conversations/${encodeURIComponent(conversation)}/entries`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ payload: { name: "curl", text } }),
    signal: AbortSignal.timeout(step_ms),
  });
  assert.ok(answer.ok, `POST answers ${answer.status}`);
  return (await answer.json()).seq;
}

async function steps() {
  let address = await start(0);
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--no-first-run",
           "--disable-background-timer-throttling", "--disable-renderer-backgrounding"],
    timeout: step_ms,
  });
  const anna = await open_tab(address, "Anna");
  const ben = await open_tab(address, "Ben");
  const tabs = [anna, ben];

  console.log("two tabs chat");
  let seq = 0;
  for (let round = 0; round < 5; ++round) {
    for (const tab of tabs) {
      await tab.say(`${tab.name} says ${round}`);
      seq += 1;
      await Promise.all(tabs.map((each) => each.arrived(seq)));
    }
  }
  await anna.say(`<img src=x onerror="document.title='broken in'">`);
  seq += 1;
  await check_complete(tabs, seq);
  assert.equal(await ben.by(seq), "live");
  assert.equal(await ben.page.title(), "Confab", "markup in a message stays text");

  console.log("one tab is dropped, misses entries, and resumes");
  await ben.page.click("#drop");
  await ben.state("dropped");
  for (let count = 0; count < 10; ++count) {
    await anna.say(`while Ben was away ${count}`);
    seq += 1;
    await anna.arrived(seq);
  }
  for (let count = 0; count < 10; ++count)
    assert.equal(await post(address, `from a program ${count}`), ++seq);
  await ben.say("written while away");
  assert.equal((await ben.seqs()).length, 11, "a dropped tab hears nothing");
  await ben.page.click("#resume");
  await ben.state("live");
  seq += 1;
  await check_complete(tabs, seq);
  assert.equal(await ben.by(12), "replay");
  assert.match((await ben.texts()).at(-1), /written while away/);

  console.log("the server is killed and comes back; both tabs resume by themselves");
  for (let round = 0; round < 3; ++round) {
    const port = new URL(address).port;
    // In flight while the server dies: must arrive once all the same.
    await anna.say(`into the crash ${round}`);
    await stop("SIGKILL");
    await Promise.all(tabs.map((tab) => tab.state("waiting")));
    await ben.say(`nobody listens ${round}`);
    address = await start(port);
    await Promise.all(tabs.map((tab) => tab.state("live")));
    await Promise.all(tabs.map((tab) => tab.answered()));
    seq += 2;
    await check_complete(tabs, seq);
  }

  console.log("a reloaded tab shows the conversation again");
  await ben.page.reload();
  await ben.state("live");
  await check_complete(tabs, seq);

  console.log("SIGTERM sends the tabs away, and they come back");
  const port = new URL(address).port;
  await stop("SIGTERM");
  assert.equal(server.exitCode, 0, "a drained server exits with 0");
  await Promise.all(tabs.map((tab) => tab.state("waiting")));
  address = await start(port);
  await Promise.all(tabs.map((tab) => tab.state("live")));
  await ben.say("after the drain");
  seq += 1;
  await check_complete(tabs, seq);
}

try {
  await steps();
  console.log("ok");
} finally {
  await browser?.close();
  await stop("SIGKILL");
  await rm(scratch, { recursive: true, force: true });
}
