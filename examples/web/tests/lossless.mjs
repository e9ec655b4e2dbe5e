// Exact pixels that the Python library wrote. tests/web/test_lossless.py makes the file that SEMCOMP_LOSSLESS names.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as core from "../packages/semcomp/build/core.mjs";

const path = process.env.SEMCOMP_LOSSLESS;
const skip = path ? false : "SEMCOMP_LOSSLESS names no fixture: python -m pytest tests/web/test_lossless.py makes one";
const fixture = path ? JSON.parse(readFileSync(path, "utf8")) : { cases: [] };
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const quiet = () => {};
const model = path && core.parseLosslessModel(bytes(fixture.model));
const decode = (file, networks) => core.decodeLossless(file, model, fixture.id, networks, null, quiet);

for (const { name, file, samples, bits, channels } of fixture.cases) {
  test(`exact pixels: ${name}`, { skip }, async () => {
    const found = await decode(bytes(file), new core.PlainNetworks(model));
    assert.deepEqual([found.channels, found.bits], [channels, bits]);
    const expected = bits === 8 ? bytes(samples) : new Uint16Array(bytes(samples).buffer);
    assert.deepEqual(found.samples, expected);
  });
}

test("networks that are off by one are noticed", { skip }, async () => {
  const plain = new core.PlainNetworks(model);
  const wrong = {
    run: async (name, features, cells) => (await plain.run(name, features, cells)).map((value) => value + 4),
  };
  await assert.rejects(decode(bytes(fixture.cases[0].file), wrong), core.FormatError);
});

test("cut and changed files are refused", { skip }, async () => {
  const small = bytes(fixture.cases.find(({ name }) => name === "thin").file);
  const plain = new core.PlainNetworks(model);
  const refuse = async (file) =>
    assert.rejects(decode(file, plain), (error) => error instanceof core.FormatError || error instanceof core.ModelError);
  for (let length = 0; length < small.length; length++) await refuse(small.subarray(0, length));
  const head = core.readLosslessHead(small).body;
  for (let at = head; at < small.length; at++) {
    const damaged = small.slice();
    damaged[at] ^= 1 << (at % 8);
    await refuse(damaged);
  }
});

test("another model is named", { skip }, async () => {
  const file = bytes(fixture.cases[0].file);
  await assert.rejects(
    core.decodeLossless(file, model, "0".repeat(16), new core.PlainNetworks(model), null, quiet), core.ModelError);
});
