// The entropy coder: a stack of 32-bit words under a 64-bit state, as in FORMAT.md.
//
// JavaScript's numbers hold integers below 2^53 exactly, so the state is kept as two halves of 32 bits, and every
// product and quotient is taken in parts that stay below that:
//
//   pop   h = x >> 24 has 40 bits, h = a 2^20 + b: f a and f b are below 2^44 for f < 2^24
//   push  x / f by long division in digits of 32, 16 and 16 bits: every dividend is below 2^40, where the rounded
//         quotient of two numbers never reaches the next integer

const WORD = 2 ** 32;

export class AnsCoder {
  private high = 0;
  private low = 0;
  private words: Uint32Array;
  private count = 0;

  /** Starts from the bytes of a stream, filled up to whole words; empty for an encoder. */
  constructor(data: Uint8Array = new Uint8Array(0)) {
    this.count = Math.ceil(data.length / 4);
    this.words = new Uint32Array(Math.max(this.count, 1024));
    data.forEach((byte, i) => (this.words[i >> 2]! |= byte << (8 * (i & 3))));
    if (this.count) this.low = this.words[--this.count]!;
    if (this.count) this.shiftIn();
  }

  /** The 24 bits that say which category is on top. */
  peek(): number {
    return this.low & 0xffffff;
  }

  /** Takes the category off that has frequency f, with c below it; `quantile` is what `peek` gave. */
  pop(f: number, c: number, quantile: number): void {
    // h = x >> 24 in two digits of 20 bits: bits 24..43 and 44..63 of x
    const b = ((this.low >>> 24) | (this.high << 8)) & 0xfffff;
    const a = this.high >>> 12;
    const upper = f * a;
    const lower = (upper % 4096) * 1048576 + f * b + quantile - c;
    this.low = lower >>> 0;
    this.high = Math.floor(upper / 4096) + Math.floor(lower / WORD);
    if (this.high === 0 && this.count) this.shiftIn();
  }

  /** Puts a category of frequency f on top, with c below it. */
  push(f: number, c: number): void {
    if (this.high / 256 >= f) {
      if (this.count === this.words.length) this.grow();
      this.words[this.count++] = this.low;
      this.low = this.high;
      this.high = 0;
    }
    const first = Math.floor(this.high / f);
    let rest = (this.high - first * f) * 65536 + (this.low >>> 16);
    const second = Math.floor(rest / f);
    rest = (rest - second * f) * 65536 + (this.low & 0xffff);
    const third = Math.floor(rest / f);
    const quotient = first * WORD + second * 65536 + third;
    this.high = Math.floor(quotient / 256);
    this.low = (((third & 0xff) << 24) | (rest - third * f + c)) >>> 0;
  }

  /** The bytes of everything that was pushed, without the zero bytes that end the last word. */
  finish(): Uint8Array<ArrayBuffer> {
    const words = [...this.words.subarray(0, this.count), this.low, this.high];
    const bytes = new Uint8Array(4 * words.length);
    const view = new DataView(bytes.buffer);
    words.forEach((word, i) => view.setUint32(4 * i, word, true));
    let end = bytes.length;
    while (end && !bytes[end - 1]) end--;
    return bytes.slice(0, end);
  }

  get isEmpty(): boolean {
    return this.high === 0 && this.low === 0 && this.count === 0;
  }

  private shiftIn(): void {
    this.high = this.low;
    this.low = this.words[--this.count]!;
  }

  private grow(): void {
    const words = new Uint32Array(2 * this.words.length);
    words.set(this.words);
    this.words = words;
  }
}
