// Thumbnails: the golden codes of the library show the same pixels here, and hostile bytes do no harm.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { decodeThumb, readThumbTables, sizeWithin, thumbFromText } from "../packages/semcomp/build/core.mjs";

const file = (path) => readFileSync(new URL(path, import.meta.url));
const weights = new Uint8Array(file("../../../semcomp/weights/thumbs.safetensors"));
const tables = readThumbTables(weights);
const { rows, repaired, sizes } = JSON.parse(file("../../../tests/golden/thumbs.json"));
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));

test("golden codes show the pixels of the library", () => {
  assert.ok(rows.length > 20);
  for (const { code, ratio, pixels } of rows) {
    const thumb = decodeThumb(bytes(code), tables);
    const wanted = bytes(pixels);
    const channels = wanted.length / 1024;
    assert.deepEqual(thumb.ratio, ratio);
    assert.equal(thumb.hasAlpha, channels === 4);
    const shown = thumb.rgba.filter((_, i) => i % 4 < channels);
    assert.deepEqual([...shown], [...wanted]);
  }
});

/** The network of tests/thumbs/golden.py. */
function madeUpNetwork() {
  let state = 7;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 16) % 401) - 200;
  };
  return [[12, 8], [8, 12]].map(([inputs, outputs]) => ({
    weight: Float64Array.from({ length: 9 * inputs * outputs }, next),
    bias: Float64Array.from({ length: 26 * outputs }, next),
    columns: outputs,
  }));
}

test("a network repairs the same pixels as in the library", () => {
  const others = { ...tables, short: { ...tables.short, repair: madeUpNetwork() } };
  const codes = rows.filter((row) => row.picture === 0);
  assert.equal(codes.length, repaired.length);
  codes.forEach(({ code }, number) => {
    const shown = decodeThumb(bytes(code), others).rgba.filter((_, i) => i % 4 < 3);
    assert.deepEqual([...shown], [...bytes(repaired[number])]);
  });
});

test("a picture has the size that it has in the library", () => {
  assert.ok(sizes.length > 20);
  for (const [wide, tall, longest, width, height] of sizes) {
    assert.deepEqual(sizeWithin([wide, tall], longest), [width, height]);
  }
});

test("every beginning of a code decodes", () => {
  const code = bytes(rows.at(7).code);
  for (let length = 0; length <= 200; length++) {
    assert.equal(decodeThumb(code.subarray(0, length), tables).rgba.length, 4096);
  }
});

test("a text and its beginnings are read", () => {
  assert.deepEqual([...thumbFromText("Csj_")], [10, 200, 255]);
  assert.deepEqual([...thumbFromText("Csj_A")], [10, 200, 255]);
  assert.deepEqual([...thumbFromText("")], []);
  assert.deepEqual([...thumbFromText("  Cs\r\nj_ = \n")], [10, 200, 255]);
  assert.throws(() => thumbFromText("ab!c"), /'!' at character 3/);
  assert.throws(() => thumbFromText("  a b\n!c"), /'!' at character 7/);
});

test("a byte of a later version is refused in words", () => {
  assert.throws(() => decodeThumb(Uint8Array.of(0xbf, 1), tables), /byte 0xbf/);
  assert.throws(() => decodeThumb(Uint8Array.of(63), tables), /byte 0x3f/);
});

test("damaged tables are refused in words", () => {
  assert.throws(() => readThumbTables(weights.subarray(0, 500)), /tables of thumbnails/);
  assert.throws(() => readThumbTables(new Uint8Array(4)), /tables of thumbnails/);
});

test("decoder and weights stay below 200 KB", async () => {
  const { build } = await import("esbuild");
  const made = await build({
    entryPoints: [new URL("../packages/semcomp/src/thumb.ts", import.meta.url).pathname],
    bundle: true, minify: true, format: "esm", write: false,
  });
  assert.ok(made.outputFiles[0].contents.length + weights.length < 200_000);
});
