// Bytes in and out: varints, little-endian integers, strings, hex, CRC-32. FORMAT.md names them.
import { FormatError } from "./errors.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

export const COPY_AGAIN = "copy or download it again";
const MAX_STRING_BYTES = 200;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** CRC-32 as of zlib and PNG; `crc` is that of what came before. */
export function crc32(data: Uint8Array, crc = 0): number {
  let value = ~crc;
  for (let i = 0; i < data.length; i++) value = (value >>> 8) ^ CRC_TABLE[(value ^ data[i]!) & 0xff]!;
  return ~value >>> 0;
}

export function hex(data: Uint8Array, separator = ""): string {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join(separator);
}

/** 8 bytes from 16 hex digits. */
export function fromHex(text: string): Bytes {
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

export function concat(parts: readonly Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** Integers as little-endian bytes, `size` bytes each. */
export function packInteger(value: number, size: number): Bytes {
  return Uint8Array.from({ length: size }, (_, i) => (value / 2 ** (8 * i)) & 0xff);
}

/** Unsigned LEB128 of a number below 2^32. */
export function packVarint(value: number): Bytes {
  const out: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    out.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  out.push(rest);
  return Uint8Array.from(out);
}

/** Length and UTF-8. ImageError is the caller's: the names of heads are short and plain. */
export function packString(text: string): Bytes {
  const encoded = new TextEncoder().encode(text);
  if (encoded.length > MAX_STRING_BYTES || hasControl(text)) {
    throw new FormatError(`the name ${JSON.stringify(text.slice(0, 20))} does not fit into a file; choose another head`);
  }
  return concat([packVarint(encoded.length), encoded]);
}

function hasControl(text: string): boolean {
  return /[\u0000-\u001f\u007f-\u009f]/.test(text);
}

/** Reads forward; FormatError where the bytes end too early. `what` names them in messages. */
export class Cursor {
  constructor(readonly data: Uint8Array, readonly what: string, public offset = 0) {}

  take(count: number, what: string): Uint8Array {
    const start = this.offset;
    if (start + count > this.data.length) {
      throw new FormatError(
        `the file ends at byte ${this.data.length}, inside ${this.what}: ${what} takes bytes `
          + `${start}..${start + count}; ${COPY_AGAIN}`,
      );
    }
    this.offset += count;
    return this.data.subarray(start, this.offset);
  }

  u8(what: string): number {
    return this.take(1, what)[0]!;
  }

  u16(what: string): number {
    const [low, high] = this.take(2, what);
    return low! | (high! << 8);
  }

  u32(what: string): number {
    const [a, b, c, d] = this.take(4, what);
    return (a! | (b! << 8) | (c! << 16) | (d! << 24)) >>> 0;
  }

  varint(): number {
    const start = this.offset;
    let value = 0;
    for (let count = 0; count < 5; count++) {
      const byte = this.u8("a number");
      value += (byte & 0x7f) * 2 ** (7 * count);
      if (byte < 0x80) {
        if (value >= 2 ** 32 || (byte === 0 && count > 0)) break;
        return value;
      }
    }
    throw new FormatError(`the number at byte ${start} of ${this.what} is not minimal 32-bit LEB128; ${COPY_AGAIN}`);
  }

  string(): string {
    const start = this.offset;
    const length = this.varint();
    if (length > MAX_STRING_BYTES) {
      throw new FormatError(
        `the string at byte ${start} of ${this.what} claims ${length} bytes, at most ${MAX_STRING_BYTES} are allowed; `
          + COPY_AGAIN,
      );
    }
    const bytes = this.take(length, "a string");
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new FormatError(`the string at byte ${start} of ${this.what} is not UTF-8; ${COPY_AGAIN}`);
    }
    if (hasControl(text)) {
      throw new FormatError(`the string at byte ${start} of ${this.what} holds a control character; ${COPY_AGAIN}`);
    }
    return text;
  }

  /** Reads the version, which is one of those given. FormatError for another one. */
  version(...known: number[]): number {
    const version = this.u8("the version");
    if (!known.includes(version)) {
      throw new FormatError(`${this.what} has version ${version}, this page reads ${known.join(" and ")}; use a newer page`);
    }
    return version;
  }

  end(): void {
    if (this.offset !== this.data.length) {
      throw new FormatError(`${this.data.length - this.offset} bytes follow ${this.what}; ${COPY_AGAIN}`);
    }
  }
}
