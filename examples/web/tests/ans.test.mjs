// The coder on 32-bit halves beside the same coder on BigInt, which is the text of FORMAT.md.
import assert from "node:assert/strict";
import { test } from "node:test";
import { AnsCoder } from "../packages/semcomp/build/core.mjs";

const TOTAL = 1 << 24;

/** FORMAT.md, word by word. */
class Reference {
  words = [];
  x = 0n;

  push(f, c) {
    const [F, C] = [BigInt(f), BigInt(c)];
    if (this.x >> 40n >= F) {
      this.words.push(this.x & 0xffffffffn);
      this.x >>= 32n;
    }
    this.x = ((this.x / F) << 24n) + (this.x % F) + C;
  }

  finish() {
    const words = [...this.words, this.x & 0xffffffffn, this.x >> 32n];
    const bytes = words.flatMap((word) => [0n, 8n, 16n, 24n].map((shift) => Number((word >> shift) & 0xffn)));
    while (bytes.length && !bytes.at(-1)) bytes.pop();
    return Uint8Array.from(bytes);
  }
}

/** Numbers that are the same on every run. */
function* numbers(seed) {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state;
  }
}

/** A frequency and what lies below it: of every size, the extremes among them. */
function category(random) {
  const bits = random.next().value % 25;
  const f = Math.max(1, Math.min(TOTAL - 1, bits === 24 ? TOTAL - 1 : (1 << bits) + (random.next().value % (1 << bits))));
  return [f, random.next().value % (TOTAL - f + 1)];
}

for (const count of [0, 1, 2, 3, 7, 50_000]) {
  test(`${count} categories: the bytes of the 64-bit coder, and back`, () => {
    const random = numbers(count + 1);
    const categories = Array.from({ length: count }, () => category(random));
    const [coder, reference] = [new AnsCoder(), new Reference()];
    for (const [f, c] of categories) {
      coder.push(f, c);
      reference.push(f, c);
    }
    const bytes = coder.finish();
    assert.deepEqual(bytes, reference.finish());
    const reader = new AnsCoder(bytes);
    for (const [f, c] of categories.reverse()) {
      const quantile = reader.peek();
      assert.ok(c <= quantile && quantile < c + f, `quantile ${quantile} of ${f} above ${c}`);
      reader.pop(f, c, quantile);
    }
    assert.ok(reader.isEmpty);
  });
}

test("states at the edges of their halves", () => {
  const edges = [0n, 1n, 0xffffffffn, 0x100000000n, 0xffffffffffn, 0x10000000000n, 0xffffffffffffffffn];
  const frequencies = [1, 2, 3, 255, 65535, 65536, 65537, TOTAL / 2, TOTAL - 2, TOTAL - 1];
  for (const x of edges) {
    for (const near of [x - 2n, x - 1n, x, x + 1n, x + 2n]) {
      if (near < 0n || near >> 64n) continue;
      for (const f of frequencies) {
        const [coder, reference] = [new AnsCoder(), new Reference()];
        [coder.high, coder.low] = [Number(near >> 32n), Number(near & 0xffffffffn)];
        reference.x = near;
        coder.push(f, TOTAL - f);
        reference.push(f, TOTAL - f);
        assert.deepEqual(coder.finish(), reference.finish(), `state ${near}, frequency ${f}`);
      }
    }
  }
});

test("a coder that was cut keeps giving categories and is not empty", () => {
  const coder = new AnsCoder();
  for (let i = 0; i < 100; i++) coder.push(3, 7);
  const reader = new AnsCoder(coder.finish().slice(0, 8));
  for (let i = 0; i < 90; i++) reader.pop(TOTAL - 1, 0, reader.peek());
  assert.ok(!reader.isEmpty);
});
