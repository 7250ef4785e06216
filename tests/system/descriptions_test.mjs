// /openapi.json and /asyncapi.json are valid by their own standards. http_test.py holds their paths, methods and codes against the
// running server; here its answers about streams are held against what /openapi.json says of them.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import SwaggerParser from "@apidevtools/swagger-parser";
import { Parser } from "@asyncapi/parser";
import { serve } from "./server.mjs";

const file = (name) => readFile(new URL(`../../web/${name}`, import.meta.url), "utf8");

const openapi = JSON.parse(await file("openapi.json"));
assert.equal(openapi.openapi, "3.1.0");
await SwaggerParser.validate(structuredClone(openapi));
const broken = structuredClone(openapi);
delete broken.info;
await assert.rejects(SwaggerParser.validate(broken), "the validator finds what is missing");
console.log("ok openapi.json");

const parser = new Parser();
const errors = async (text) => (await parser.validate(text)).filter((x) => x.severity === 0);
assert.deepEqual(await errors(await file("asyncapi.json")), []);
const other = JSON.parse(await file("asyncapi.json"));
delete other.info;
assert.notDeepEqual(await errors(JSON.stringify(other)), [], "the validator finds what is missing");
console.log("ok asyncapi.json");

const directory = await mkdtemp(join(tmpdir(), "confab-descriptions-"));
const server = await serve(join(directory, "data"));
try {
  const described = await SwaggerParser.dereference(structuredClone(openapi));
  const operations = described.paths["/v1/stream/{stream}"];
  const told = new Set();
  const ask = async (method, path, fields = {}, body = undefined) => {
    const answer = await fetch(`${server.url}/v1/stream/${path}`, { method, headers: fields, body });
    const operation = operations[method.toLowerCase()];
    const known = operation.responses[answer.status] ?? (answer.status >= 400 ? operation.responses.default : undefined);
    assert.ok(known, `${method} ${path}: ${answer.status} is described`);
    const parameters = [...operations.parameters, ...(operation.parameters ?? [])];
    for (const name of Object.keys(fields).filter((x) => x !== "Content-Type"))
      assert.ok(parameters.some((x) => x.in === "header" && x.name === name), `${method}: the field ${name} is described`);
    for (const name of new URL(answer.url).searchParams.keys())
      assert.ok(parameters.some((x) => x.in === "query" && x.name === name), `${method}: ${name} is described`);
    const names = Object.keys(known.headers ?? {}).map((x) => x.toLowerCase());
    for (const [name, value] of answer.headers) {
      if (!/^(stream-|producer-|etag$|location$)/.test(name)) continue;
      // Of an error they are extra.
      if (answer.status < 400 || known.headers) assert.ok(names.includes(name), `${method} ${answer.status}: ${name} is described`);
      const { schema } = known.headers?.[Object.keys(known.headers).find((x) => x.toLowerCase() === name)] ?? { schema: {} };
      if (schema.const !== undefined) assert.equal(value, schema.const, name);
      if (schema.type === "integer") assert.match(value, /^\d+$/, name);
      told.add(name);
    }
    const body_text = await answer.text();
    if (answer.status >= 400 && body_text) assert.equal(answer.headers.get("content-type"), "application/problem+json");
    return { status: answer.status, fields: answer.headers, text: body_text };
  };
  const json = { "Content-Type": "application/json" };
  const producer = { ...json, "Producer-Id": "p", "Producer-Epoch": "1", "Producer-Seq": "0" };
  const statuses = [];
  const ask_all = async (...questions) => {
    for (const x of questions) statuses.push((await ask(...x)).status);
  };
  await ask_all(
    ["PUT", "a/b", { ...json, "Stream-TTL": "600" }, "[1,2]"],
    ["PUT", "a/b", { ...json, "Stream-TTL": "600" }],
    ["PUT", "a/b", { "Content-Type": "text/plain" }],
    ["PUT", "e", { "Stream-Expires-At": "2099-01-01T00:00:00Z" }],
    ["PUT", "f", { "Stream-Forked-From": "/v1/stream/a/b", "Stream-Fork-Offset": "0000000000000000_0000000000000000",
                   "Stream-Fork-Sub-Offset": "1" }],
    ["POST", "a/b", { ...json, "Stream-Seq": "1" }, "3"],
    ["POST", "a/b", { ...json, "Stream-Seq": "1" }, "3"],
    ["POST", "a/b", producer, "4"],
    ["POST", "a/b", producer, "4"],
    ["POST", "a/b", { ...producer, "Producer-Seq": "5" }, "4"],
    ["POST", "a/b", { ...producer, "Producer-Epoch": "0" }, "4"],
    ["POST", "none", json, "4"],
    ["POST", "a/b", json, "{"],
    ["HEAD", "a/b"], ["HEAD", "e"], ["HEAD", "none"], ["GET", "none"], ["GET", "a/b?offset=x"], ["OPTIONS", "a/b"]);
  const page = await ask("GET", "a/b?offset=-1");
  assert.deepEqual(JSON.parse(page.text), [1, 2, 3, 4]);
  statuses.push((await ask("GET", "a/b?offset=-1", { "If-None-Match": page.fields.get("etag") })).status);
  statuses.push((await ask("GET", `a/b?offset=-1&live=long-poll&cursor=5`)).status);
  statuses.push((await ask("GET", "a/b?offset=0000000000000009_other.1_1-0")).status);
  await ask_all(["POST", "a/b", { "Stream-Closed": "true" }], ["GET", "a/b?offset=now&live=long-poll"], ["GET", "a/b?offset=-1&live=sse"],
                ["POST", "a/b", json, "5"], ["DELETE", "a/b"], ["DELETE", "a/b"], ["DELETE", "f"], ["DELETE", "none"]);
  assert.deepEqual(statuses, [201, 200, 409, 201, 201, 204, 409, 200, 204, 409, 403, 404, 400, 200, 200, 404, 404, 400, 204,
                              304, 200, 410, 204, 204, 200, 409, 204, 410, 204, 404]);
  for (const name of ["stream-next-offset", "stream-up-to-date", "stream-closed", "stream-cursor", "stream-ttl", "stream-expires-at",
                      "producer-epoch", "producer-seq", "producer-expected-seq", "producer-received-seq", "etag", "location"])
    assert.ok(told.has(name), `${name} was seen`);
  console.log("ok streams are as described");
} finally {
  await server.stop();
  await rm(directory, { recursive: true });
}
