// JPEG files that Pillow wrote, read and restored here as in Python. tests/web/test_restore.py makes the file that
// SEMCOMP_RESTORE names.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as core from "../packages/semcomp/build/core.mjs";

const path = process.env.SEMCOMP_RESTORE;
const skip = path ? false : "SEMCOMP_RESTORE names no fixture: python -m pytest tests/web/test_restore.py makes one";
const fixture = path ? JSON.parse(readFileSync(path, "utf8")) : { files: [], pictures: [], damaged: [] };
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const quiet = () => {};

for (const { name, file, width, height, planes } of fixture.files) {
  test(`coefficients: ${name}`, { skip }, () => {
    const found = core.readJpeg(bytes(file));
    assert.deepEqual([found.width, found.height, found.damage, found.planes.length], [width, height, "", planes.length]);
    planes.forEach(({ rows, columns, coefficients, steps }, i) => {
      const plane = found.planes[i];
      assert.deepEqual([plane.rows, plane.columns, [...plane.steps]], [rows, columns, steps]);
      assert.deepEqual(plane.coefficients, new Int16Array(bytes(coefficients).buffer));
    });
  });
}

test("of cut and changed files is said what Python says, or they are refused in words", { skip }, () => {
  assert.ok(fixture.damaged.length > 100);
  const said = new Set();
  for (const { file, damage } of fixture.damaged) {
    let found = null;
    try {
      found = core.readJpeg(bytes(file)).damage;
    } catch (error) {
      assert.ok(error instanceof core.ImageError, String(error.stack));
    }
    assert.equal(found, damage);
    said.add(found);
  }
  const all = [...said].join("\n");
  for (const words of ["can be read", "ends early", "is grey", "is blurred"]) assert.ok(all.includes(words), all);
  assert.ok(said.has(null) && said.has(""));
});

/** The network of tests/web/test_restore.py: far too large corrections, so that the cells decide. */
async function wild({ rows, columns, blocks, windows, places, steps, flags }) {
  const out = new Float32Array(rows * columns * 192);
  const seen = steps[5] + flags[0] + 2 * flags[1] + 4 * flags[2];
  for (let i = 0; i < out.length; i++) {
    const block = Math.floor(i / 192);
    const size = 30 * Math.sin(0.37 * (i % 192) + seen + places[2 * block] + 2 * places[2 * block + 1]);
    out[i] = size + 0.1 * blocks[i] + 0.05 * windows[384 * block + 2 * (i % 192)];
  }
  return out;
}

for (const { name, file, strength, pixels, width, height } of fixture.pictures) {
  test(`restored pixels: ${name}, strength ${strength}`, { skip }, async () => {
    const read = core.readJpeg(bytes(file));
    const stored = await core.restoreJpeg(read, wild, 9, strength, quiet);
    const turned = core.upright(stored, read.width, read.height, core.orientationOf(read));
    const { rgba } = turned;
    const expected = bytes(pixels);
    assert.deepEqual([turned.width, turned.height], [width, height]);
    assert.equal(expected.length, 3 * width * height);
    let [worst, different] = [0, 0];
    for (let i = 0; i < width * height; i++) {
      for (let c = 0; c < 3; c++) {
        const apart = Math.abs(rgba[4 * i + c] - expected[3 * i + c]);
        worst = Math.max(worst, apart);
        different += apart > 0;
      }
    }
    assert.ok(worst <= 1, `${worst} levels`);
    assert.ok(different < 0.001 * expected.length, `${different} of ${expected.length} samples differ by a level`);
  });
}

test("every answer stays in the cells of the file", { skip }, async () => {
  for (const { file } of fixture.pictures.filter(({ name }) => !name.startsWith("beyond"))) {
    const read = core.readJpeg(bytes(file));
    for (const group of core.groupsOf(read)) {
      const [luma] = await core.restorePlanes(group, wild, 9, 1, quiet);
      const { rows, columns, steps, coefficients } = group.planes[0];
      const found = core.forwardDct(luma, rows, columns);
      let largest = 0;
      for (let i = 0; i < found.length; i++) {
        largest = Math.max(largest, Math.abs(found[i] / steps[i % 64] - coefficients[i]));
      }
      assert.ok(largest < 0.5, `${largest} steps from what is stored`);
      assert.ok(largest > 0.3, "the network moves coefficients");
    }
  }
});

test("what the restorer does not know is refused in words", { skip }, async () => {
  const cmyk = core.readJpeg(bytes(fixture.cmyk));
  assert.throws(() => core.groupsOf(cmyk), /4 colour planes/);
  assert.throws(() => core.readJpeg(bytes(fixture.png)), /not a JPEG file/);
  assert.throws(() => core.readJpeg(bytes(fixture.refused)), /Huffman code 0 is missing/);
  const read = core.readJpeg(bytes(fixture.pictures[0].file));
  await assert.rejects(core.restoreJpeg(read, wild, 9, 2, quiet), /0 to 1/);
});
