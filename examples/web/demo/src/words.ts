// Numbers as a person reads them; the same in every locale.

/** 21340 -> "21,340". */
export const thousands = (value: number): string => Math.round(value).toLocaleString("en");

/** Bytes in three digits: 940 -> "940 B", 21340 -> "21.3 kB". */
export function size(bytes: number): string {
  let value = bytes;
  for (const unit of ["B", "kB", "MB"]) {
    if (value < 999.5 || unit === "MB") return `${unit === "B" ? value : value.toPrecision(3)} ${unit}`;
    value /= 1000;
  }
  return "";
}

/** 0.2345 -> "23 %"; shares that are small and not zero keep a digit. */
export function percent(share: number): string {
  const value = 100 * share;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return `${value < 10 && value > 0 ? value.toFixed(1) : value.toFixed(0)} %`;
}

/** Milliseconds: "0.42 ms", "41 ms", "1,250 ms". */
export const milliseconds = (value: number): string => `${value < 10 ? value.toFixed(1) : thousands(value)} ms`;

/** Bits a pixel: three digits behind the point. */
export const bitsAPixel = (value: number): string => value.toFixed(3);

/** "576 × 432". */
export const dimensions = (width: number, height: number): string => `${thousands(width)} × ${thousands(height)}`;

/** What a file with this name is called with another ending. */
export const renamed = (name: string, ending: string): string => `${name.replace(/\.[a-z0-9]{1,5}$/i, "") || "picture"}${ending}`;

/** What stands where an answer is empty. */
export const NOTHING_KNOWN = "Nothing known.";

/** The same, where the head had to be that sure. */
export const nothingKnown = (least: number): string => (least ? `Nothing known with ${percent(least)} or more.` : NOTHING_KNOWN);

/** What stands where no head was asked. */
export const ASK_A_HEAD = "Choose a head to ask what the picture shows.";
