// What ITU-T T.81 prescribes: the order of coefficients, and the Huffman codes of files that leave their own out.
import { type Huffman, huffmanOf } from "./jpegscan.ts";

export const ZIGZAG = Uint8Array.of(
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35,
  42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
);

/** Number of codes of 1 to 16 bits, and the symbols, of DC (tables K.3 and K.4) and of AC (K.5 and K.6). */
const CODES: readonly (readonly [string, string])[] = [
  ["00010501010101010100000000000000",
    "000102030405060708090a0b"],
  ["00030101010101010101010000000000",
    "000102030405060708090a0b"],
  ["0002010303020403050504040000017d",
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a343536373839"
    + "3a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7"
    + "a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"],
  ["00020102040403040705040400010277",
    "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738"
    + "393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5"
    + "a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"],
];
const made: (Huffman | undefined)[] = [];

/** A code of the standard, of luma (0) or chroma (1). Baseline files without codes have them, as frames of Motion JPEG do. */
export function presetCode(kind: "dc" | "ac", number: number): Huffman | undefined {
  if (number > 1) return undefined;
  const place = (kind === "dc" ? 0 : 2) + number;
  const [counts, symbols] = CODES[place]!;
  return (made[place] ??= huffmanOf(fromHex(counts), fromHex(symbols)));
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16));
}
