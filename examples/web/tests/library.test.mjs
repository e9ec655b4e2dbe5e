// What the Python library wrote, read and written anew: the bytes must be the same. tests/web/fixture.py makes the file
// that SEMCOMP_FIXTURE names.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as core from "../packages/semcomp/build/core.mjs";

const path = process.env.SEMCOMP_FIXTURE;
const skip = path ? false : "SEMCOMP_FIXTURE names no fixture: python -m pytest tests/web/test_web.py makes one";
const fixture = path ? JSON.parse(readFileSync(path, "utf8")) : {};

const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const array = (type, text) => new type(bytes(text).buffer);
const quiet = () => {};

function compare(name, check) {
  test(name, { skip }, check);
}

compare("symbol streams, escapes among them", () => {
  for (const { name, latents, stream } of fixture.streams) {
    const parts = latents.map(({ bounds, flat, index, symbols }) => ({
      tables: new core.Tables(array(Int32Array, bounds), array(Int32Array, flat)),
      index: array(Int16Array, index), symbols: array(Int16Array, symbols),
    }));
    assert.deepEqual(core.encodeSymbols(parts), bytes(stream), name);
    const reader = new core.SymbolReader(bytes(stream));
    for (const { index, tables, symbols } of parts) {
      const expected = symbols.map((value, i) => (index[i] < 0 ? 0 : value));
      assert.deepEqual(reader.read(index, tables), expected, name);
    }
    reader.finish();
  }
});

compare("damaged symbol streams: the same verdict, the same symbols", () => {
  for (const { bounds, flat, index, stream, symbols } of fixture.damaged) {
    const tables = new core.Tables(array(Int32Array, bounds), array(Int32Array, flat));
    const read = () => {
      const reader = new core.SymbolReader(bytes(stream));
      const found = reader.read(array(Int16Array, index), tables);
      reader.finish();
      return found;
    };
    if (symbols === null) assert.throws(read, core.FormatError);
    else assert.deepEqual(read(), array(Int16Array, symbols));
  }
});

compare("what the codec's tables charge, to the last bit", () => {
  const vectors = core.parseVectors(bytes(fixture.tables.file));
  const { bits, widest } = core.tablesOf(vectors, "y").bits();
  const expected = array(Float32Array, fixture.tables.bits);
  assert.equal((2 * widest + 1) * core.tablesOf(vectors, "y").length, expected.length);
  assert.deepEqual(bits, expected);
});

compare("the choice of symbols", () => {
  const { quality, widest, bits, value, index, chosen } = fixture.choice;
  const costs = { bits: array(Float32Array, bits), widest };
  const toll = core.toll(quality);
  const tables = array(Int16Array, index);
  const expected = array(Int16Array, chosen);
  const values = array(Float32Array, value);
  const found = Int16Array.from(values, (each, i) => core.chooseSymbol(each, tables[i], costs, toll));
  assert.deepEqual(found, expected);
  assert.ok(expected.some((each, i) => each !== core.roundHalfEven(values[i])), "none was moved towards zero");
});

compare("rate nodes", () => {
  for (const [nodes, numbers] of Object.entries(fixture.nodes)) {
    numbers.forEach((number, i) => assert.equal(core.rateNode(i + 1, Number(nodes)), number));
  }
});

compare("label maps", () => {
  for (const { name, width, height, cell, classes, palette, source, map, body } of fixture.maps) {
    const reduced = core.reduceMap(bytes(map), width, height, cell);
    const packed = core.packLabelMap({ ...reduced, cell, classes, palette, source });
    assert.deepEqual(packed, bytes(body), name);
    const read = core.unpackLabelMap(packed, width, height);
    assert.deepEqual(read, { cell, classes, palette, source, ...reduced }, name);
  }
});

compare("positions that are kept", () => {
  for (const { width, height, keep, body } of fixture.keeps) {
    const columns = Math.ceil(width / 16);
    assert.deepEqual(core.packKeep(bytes(keep), columns), bytes(body));
    assert.deepEqual(core.unpackKeep(bytes(body), width, height), bytes(keep));
  }
});

compare("damaged label maps and regions: the same verdict, the same cells", () => {
  for (const { kind, body, found } of fixture.bodies) {
    const read = () =>
      kind === "map" ? core.unpackLabelMap(bytes(body), 88, 54).cells : core.unpackKeep(bytes(body), 640, 480);
    if (found === null) assert.throws(read, core.FormatError);
    else assert.deepEqual(read(), bytes(found));
  }
  assert.ok(fixture.bodies.some((each) => each.found === null) && fixture.bodies.some((each) => each.found !== null));
});

compare("which classes a head may say", () => {
  for (const { width, height, dims, logits, classes, limits, said, surely, scores, labels } of fixture.limits) {
    const given = core.limitsOf(limits, classes);
    const sure = core.atLeast(given, 0.75, classes);
    assert.deepEqual(core.saidClasses(given, array(Float32Array, logits), dims, { width, height }), said);
    assert.deepEqual(core.saidClasses(sure, array(Float32Array, logits), dims, { width, height }), surely);
    const shown = core.sureClasses(sure, array(Float32Array, scores));
    assert.deepEqual(classes.filter((_, k) => shown[k]).sort(), labels);
  }
  assert.deepEqual(core.atLeast(core.NO_LIMITS, 0, ["cat"]), core.NO_LIMITS);
  assert.throws(() => core.atLeast(core.NO_LIMITS, 2, ["cat"]), /from 0 to 1/);
  assert.ok(fixture.limits.some(({ said }) => said.includes(true)) && fixture.limits.some(({ said }) => said.includes(false)));
  assert.throws(() => core.limitsOf({ ...fixture.limits[2].limits }, ["other", "names", "here"]));
});

test("what may not be said becomes void", () => {
  const map = Uint8Array.from([0, 1, 2, 1]);
  core.keepQuiet(map, [true, false, true]);
  assert.deepEqual([...map], [0, 255, 2, 255]);
});

compare("labels and the generator's settings", () => {
  for (const { labels, source, areas, body } of fixture.tags) {
    assert.deepEqual(core.packTags(labels, source, areas), bytes(body));
    const read = core.unpackTags(bytes(body));
    assert.equal(read.source, source);
    assert.equal(read.areas, areas);
    read.labels.forEach(({ name, score }, i) => {
      assert.equal(name, labels[i].name);
      assert.ok(Math.abs(score - labels[i].score) < 1e-5);
    });
  }
  const { name, id, guided, body } = fixture.generator;
  assert.deepEqual(core.packGenerator({ name, id, guided }), bytes(body));
  assert.deepEqual(core.unpackGenerator(bytes(body)), { name, id, guided });
});

compare("noise of a generator", () => {
  for (const { seed, words, coarse, fine, part } of fixture.noise) {
    const expected = array(BigUint64Array, words);
    const { high, low } = core.philox(seed, expected.length);
    expected.forEach((word, i) => assert.equal((BigInt(high[i]) << 32n) | BigInt(low[i]), word, `${seed} ${i}`));
    const tile = core.noiseTile(seed, 4, 2);
    const thinned = (plane, channels, side) => {
      const kept = [];
      for (let c = 0; c < channels; c++) {
        for (let y = 0; y < side; y += 9) for (let x = 0; x < side; x += 7) kept.push(plane[(c * side + y) * side + x]);
      }
      return kept;
    };
    near(thinned(tile.coarse, 4, 64), array(Float32Array, coarse));
    near(thinned(tile.fine, 2, 128), array(Float32Array, fine));
    near([...core.noiseAt(tile.fine, 2, { low: 50, high: 70 }, { low: 3, high: 9 }, 2)], array(Float32Array, part));
  }
});

compare("what guides a generator", () => {
  for (const { width, height, body, classes, planes } of fixture.guides) {
    const map = body && core.unpackLabelMap(bytes(body), width, height);
    assert.deepEqual(core.guidePlanes(map, classes, { width, height }, 3, 5), array(Float32Array, planes));
  }
  const [{ width, height, body }] = fixture.guides;
  const map = core.unpackLabelMap(bytes(body), width, height);
  assert.throws(() => core.guidePlanes(map, ["boat"], { width, height }, 3, 5), core.ImageError);
});

function near(found, expected) {
  assert.equal(found.length, expected.length);
  expected.forEach((value, i) => assert.ok(Math.abs(found[i] - value) < 1e-5, `${i}: ${found[i]} beside ${value}`));
}

compare("containers", () => {
  for (const { name, file, header, chunks } of fixture.files) {
    const read = core.readContainer(bytes(file));
    assert.equal(core.hex(read.header.entropyId), header.entropy_id, name);
    for (const key of ["width", "height", "mode", "flags", "quality"]) assert.equal(read.header[key], header[key], name);
    assert.deepEqual(read.chunks.map(({ kind, data }) => [kind, data.length]), chunks, name);
    assert.deepEqual(core.writeContainer(read.header, read.chunks), bytes(file), name);
  }
});

compare("damaged containers: refused where the library refuses them", () => {
  for (const { what, file, lost } of fixture.broken) {
    if (lost === null) assert.throws(() => core.readContainer(bytes(file)), core.FormatError, what);
    else assert.deepEqual(core.readContainer(bytes(file)).lost.map((each) => each.name), lost, what);
  }
});

compare("transparency", async () => {
  const { width, height, plane, png } = fixture.alpha;
  assert.deepEqual(await core.unpackGrey(bytes(png), width, height), bytes(plane));
  const packed = await core.packGrey(bytes(plane), width, height);
  assert.deepEqual(await core.unpackGrey(packed, width, height), bytes(plane));
  await assert.rejects(core.unpackGrey(packed, width + 1, height), core.FormatError);
  await assert.rejects(core.unpackGrey(packed.slice(0, -20), width, height), core.FormatError);
});

/** The graph "refine" in integers, from the weights of the fixture. */
function refineWith({ weights, hidden: width, sizes }) {
  const [weight1, bias1, weight2, own] = ["weight1", "bias1", "weight2", "own"].map((n) => array(Int32Array, weights[n]));
  return (seen, sums, number, quality) => {
    const channels = sizes.latents;
    const n = sums.length / channels;
    const index = new Int8Array(sums.length);
    for (let place = 0; place < 4; place++) {
      for (let at = 0; at < n; at++) {
        const hidden = new Int32Array(width);
        for (let k = 0; k < width; k++) {
          let sum = bias1[((number - 1) * 100 + quality - 1) * width + k];
          for (let c = 0; c < channels; c++) sum += weight1[k * channels + c] * seen[(c * 4 + place) * n + at];
          hidden[k] = Math.max(0, Math.min(255, sum >> 4));
        }
        for (let c = 0; c < channels; c++) {
          if (((place + c) & 3) !== number) continue;
          let sum = sums[c * n + at] + own[c] * seen[(c * 4 + place) * n + at];
          for (let k = 0; k < width; k++) sum += weight2[c * width + k] * hidden[k];
          index[c * n + at] = Math.max(0, Math.min(63, sum >> 10));
        }
      }
    }
    return index;
  };
}

/** A coder on the integers of the fixture: what the sigma graph gives is in `row`. */
function coderOf(codec, row) {
  const refine = codec.weights && refineWith(codec);
  return new core.Coder({
    tables: bytes(codec.tables), manifest: codec.sizes,
    run: async (name, quality, { seen, sums, number }, outputs) => {
      if (name === "refine") return { index: { data: refine(seen.data, sums.data, Number(number.data[0]), quality), dims: [] } };
      assert.equal(name, "sigma");
      return outputs[0] === "sums" ? { sums: { data: array(Float32Array, row.sums), dims: [] } }
        : { index: { data: array(Int8Array, row.numbers), dims: [] } };
    },
  });
}

compare("the golden files, with what the library's integers say of their z", async () => {
  for (const row of fixture.golden) {
    const coder = coderOf(fixture.codec, row);
    const container = core.readContainer(bytes(row.file));
    const { header } = container;
    const body = core.chunkOf(container, core.Kind.SYMBOLS);
    const symbols = await coder.read(body, header, header.quality, null, quiet, quiet);
    assert.deepEqual(symbols.z, array(Int16Array, row.z), row.name);
    assert.deepEqual(symbols.y, array(Int16Array, row.y), row.name);
    assert.deepEqual(coder.write(symbols, header, header.quality), body.slice(), row.name);
    const { whole, z: low } = core.checksOf(header, null, symbols.z, symbols.y);
    assert.deepEqual([whole, low], [header.symbolCrc, header.zCheck], row.name);
  }
});

compare("tables that passes refine: the library's symbols, whole and damaged streams, and its bytes", async () => {
  const { codec, rows } = fixture.refined;
  let [whole, refused] = [0, 0];
  for (const row of rows) {
    const { width, height, quality } = row;
    const keep = row.keep && bytes(row.keep);
    const coder = coderOf(codec, row);
    const read = () => coder.read(bytes(row.stream), { width, height }, quality, keep, quiet, quiet);
    if (row.y === null) {
      await assert.rejects(read, core.FormatError);
      refused++;
      continue;
    }
    const symbols = await read();
    assert.deepEqual(symbols.z, array(Int16Array, row.z));
    assert.deepEqual(symbols.y, array(Int16Array, row.y));
    assert.deepEqual(symbols.index, array(Int8Array, row.index));
    assert.deepEqual(coder.write(symbols, { width, height }, quality), bytes(row.stream));
    whole++;
  }
  assert.ok(whole >= 5 && refused >= 5, `${whole} whole, ${refused} refused`);
});

test("quarters cover every element once, and go back where they were", () => {
  for (const [rows, columns] of [[6, 8], [5, 7], [1, 1], [2, 3]]) {
    const grid = { channels: 6, rows, columns };
    const planes = Int16Array.from({ length: 6 * rows * columns }, (_, i) => i + 1);
    const back = new Int16Array(planes.length);
    for (let number = 0; number < 4; number++) {
      const part = core.quarter(planes, grid, number, -7);
      assert.equal(part.length, 6 * Math.ceil(rows / 2) * Math.ceil(columns / 2));
      core.putQuarter(back, grid, number, part, grid);
    }
    assert.deepEqual(back, planes);
  }
});

test("manifests of other versions are refused in words", () => {
  const manifest = {
    format: "semcomp-edge-1", entropy_id: "0".repeat(16), model_id: "0".repeat(16), name: "x",
    sizes: { latents: 1, hyper: 1, nodes: 1, skip_below: 0, passes: 3, refined: false },
  };
  const parse = (more) => core.parseManifest(JSON.stringify({ ...manifest, ...more }));
  assert.throws(() => parse({}), /an earlier version of semcomp wrote it.*write the folder again with semcomp export onnx/);
  assert.throws(() => parse({ format: "semcomp-edge-9" }), /its format is semcomp-edge-9/);
  assert.throws(() => parse({ format: "semcomp-edge-2" }), /it has 3 passes/);
});
