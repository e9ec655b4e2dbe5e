// What of a JPEG file could not be read, in words. semcomp.jpeg.reader says the same in Python.
/** What became of one scan. */
export interface ScanFacts {
  /** Places of its components in the frame. */
  places: readonly number[];
  first: number;
  last: number;
  high: number;
  low: number;
  /** Blocks that were read, and blocks that there should be. */
  read: number;
  expected: number;
}

/**
 * Says what could not be read, and how that looks; empty for a whole file. A block shows if the scan of its DC coefficient was
 * read. Scans that are missing are known from the bits that the scans before them left for later.
 *
 * `structure` says what is wrong with the segments, and `blocks` how many blocks each component has.
 */
export function damageOf(structure: string, progressive: boolean, scans: readonly ScanFacts[], blocks: readonly number[]): string {
  const whole = scans.every(({ read, expected }) => read >= expected);
  const basic = scans.filter(({ first, high }) => !progressive || (first === 0 && high === 0));
  const missing = blocks.filter((_, place) => !basic.some(({ places }) => places.includes(place)));
  if (whole && !missing.length && !structure) return "";
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const shown = sum(basic.map(({ read }) => read));
  const total = sum(basic.map(({ expected }) => expected)) + sum(missing);
  const fine = !progressive || (whole && !bitsLeft(scans, blocks.length));
  const share = shown >= total ? "all" : `${Math.floor((100 * shown) / total) || "less than 1"} %`;
  const reasons = [structure, missing.length ? "a colour plane of it is missing" : ""].filter(Boolean);
  const looks = [...(shown < total ? ["what is missing is grey"] : []), ...(fine ? [] : ["what lacks detail is blurred"])];
  return [[`${share} of its blocks can be read`, ...reasons].join(", and "), ...looks].join("; ");
}

/** Whether coefficients of a progressive file, or low bits of them, are in no scan. */
function bitsLeft(scans: readonly ScanFacts[], components: number): boolean {
  const lowest = new Uint8Array(64 * components).fill(16);
  for (const { places, first, last, low } of scans) {
    for (const place of places) lowest.fill(low, 64 * place + first, 64 * place + last + 1);
  }
  return lowest.some((bit) => bit > 0);
}
