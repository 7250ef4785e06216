// The clients that people have, unchanged: the Durable Streams client from npm, and Chromium's EventSource. Each follows a
// conversation through restarts of the server, by SIGTERM and by kill -9, and gets every entry once, in order.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DurableStream, IdempotentProducer, stream } from "@durable-streams/client";
import { chromium } from "playwright-core";
import { serve } from "./server.mjs";

const entries_between = 80;
const restarts = ["SIGTERM", "SIGKILL", "SIGKILL", "SIGTERM"];
const patience_ms = 120_000;
const name = "room/1";

const directory = await mkdtemp(join(tmpdir(), "confab-clients-"));
const server = await serve(join(directory, "data"), "--net.drain_ms=200", "--net.heartbeat_ms=1000");
const address = `${server.url}/v1/stream/${name}`;
// As patient as people are, not as a service is: a minute between attempts would only make the test long.
const backoffOptions = { initialDelay: 20, maxDelay: 300, multiplier: 1.3 };
let browser;

async function until(claim, what) {
  const end = Date.now() + patience_ms;
  while (!(await claim())) {
    assert.ok(Date.now() < end, `in ${patience_ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Follows by the client from npm; `seen` fills. */
async function follow(live) {
  const seen = [];
  const answer = await stream({ url: address, offset: "-1", live, json: true, backoffOptions });
  answer.subscribeJson(async (batch) => void seen.push(...batch.items));
  return { what: `client, live ${live}`, seen: async () => seen };
}

async function follow_in_browser() {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const page = await browser.newPage();
  await page.goto(`${server.url}/healthz`);
  await page.evaluate((path) => {
    window.seen = [];
    window.opened = 0;
    const source = new EventSource(path);
    source.onopen = () => window.opened++;
    source.onmessage = (event) => window.seen.push(JSON.parse(event.data).payload);
  }, `/v1/conversations/${encodeURIComponent(name)}/events?after=start`);
  return {
    what: "Chromium's EventSource",
    seen: () => page.evaluate(() => window.seen),
    opened: () => page.evaluate(() => window.opened),
  };
}

/** Appends until there is an answer; a repeat is no second entry. */
async function append(n) {
  for (;;) {
    try {
      const answer = await fetch(address, {
        method: "POST",
        headers: { "Content-Type": "application/json", "Producer-Id": `p${n}`, "Producer-Epoch": "0", "Producer-Seq": "0" },
        body: JSON.stringify([{ n }]),
      });
      if (answer.ok) return;
      assert.equal(answer.status, 503);
    } catch (why) {
      if (why instanceof assert.AssertionError) throw why;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

try {
  await DurableStream.create({ url: address, contentType: "application/json" });
  const readers = [await follow("sse"), await follow("long-poll"), await follow(true), await follow_in_browser()];
  const wanted = [];
  const in_browser = readers.at(-1);
  const more = async () => {
    for (let i = 0; i < entries_between; i++) {
      await append(wanted.length);
      wanted.push({ n: wanted.length });
    }
  };
  for (const [i, signal] of restarts.entries()) {
    await until(async () => (await in_browser.opened()) > i, "the browser is connected");
    // Some are on their way when it ends.
    await more();
    await server.restart(signal);
  }
  await more();
  for (const reader of readers) {
    await until(async () => (await reader.seen()).length >= wanted.length, `${reader.what} has everything`);
    assert.deepEqual(await reader.seen(), wanted, reader.what);
    console.log(`ok ${reader.what}`);
  }
  assert.ok((await in_browser.opened()) > restarts.length, "the browser connected again each time");

  // The client's own producer: pipelined batches, each once.
  const target = new DurableStream({ url: `${server.url}/v1/stream/produced`, contentType: "application/json" });
  await target.create({ contentType: "application/json" });
  const producer = new IdempotentProducer(target, "writer", { autoClaim: true });
  for (let n = 0; n < 1000; n++) producer.append(JSON.stringify({ n }));
  await producer.flush();
  await producer.close();
  const produced = await (await stream({ url: target.url, offset: "-1", live: false, json: true })).json();
  assert.deepEqual(produced, Array.from({ length: 1000 }, (_, n) => ({ n })));
  console.log("ok the client's producer");
} finally {
  await browser?.close();
  await server.stop();
  await rm(directory, { recursive: true });
}
process.exit(0);
