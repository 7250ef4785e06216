// /openapi.json and /asyncapi.json are valid by their own standards. http_test.py holds them against the running server.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import SwaggerParser from "@apidevtools/swagger-parser";
import { Parser } from "@asyncapi/parser";

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
