// What guides a generator: the shares of classes in every 8x8 cell, from the label map that a file holds.
import { ImageError } from "./errors.ts";
import { type LabelMap, expandMap } from "./labelmap.ts";

const CELL = 8;
/** Plain words for one thing. */
const ALIASES = [
  ["person", "people", "pedestrian", "human"],
  ["bicyclist", "cyclist", "bike", "bicycle", "rider"],
  ["signsymbol", "sign", "traffic sign", "road sign", "symbol"],
  ["car", "automobile", "vehicle"],
  ["pole", "column", "columnpole"],
  ["pavement", "sidewalk", "footpath"],
  ["tree", "vegetation", "plant"],
  ["motorbike", "motorcycle"],
  ["aeroplane", "airplane", "plane"],
  ["sofa", "couch"],
  ["tvmonitor", "tv", "television", "monitor", "screen"],
  ["diningtable", "table"],
  ["pottedplant", "potted plant", "plant"],
  ["cow", "cattle"],
];

/** The number of the class that a word means, -1 where none of them is called so. */
export function classNumber(name: string, classes: readonly string[]): number {
  const known = classes.map((each) => each.trim().toLowerCase());
  const word = name.trim().toLowerCase();
  const singular = word.replace(/s$/, "");
  for (const wanted of [word, singular]) if (known.includes(wanted)) return known.indexOf(wanted);
  for (const group of ALIASES) {
    if (!group.includes(word) && !group.includes(singular)) continue;
    const number = known.findIndex((each) => group.includes(each));
    if (number >= 0) return number;
  }
  return -1;
}

/**
 * The planes (K+1, 2 rows, 2 columns) that a generator of these classes reads; without a map the last of them is 1.
 * ImageError where it knows none of the map's classes.
 */
export function guidePlanes(
  map: LabelMap | null, classes: readonly string[], { width, height }: { width: number; height: number },
  rows: number, columns: number,
): Float32Array {
  const [tall, wide] = [2 * rows, 2 * columns];
  const planes = new Float32Array((classes.length + 1) * tall * wide);
  if (!map) return planes.fill(1, classes.length * tall * wide);
  const numbers = map.classes.map((name) => classNumber(name, classes));
  if (numbers.every((number) => number < 0)) {
    throw new ImageError(`the generator knows none of the label map's classes; it knows ${classes.join(", ")}`);
  }
  const pixels = expandMap(map, map.cell, width, height);
  for (let y = 0; y < CELL * tall; y++) {
    const from = Math.min(y, height - 1) * width;
    const to = Math.floor(y / CELL) * wide;
    for (let x = 0; x < CELL * wide; x++) {
      const number = numbers[pixels[from + Math.min(x, width - 1)]!] ?? -1;
      if (number >= 0) planes[number * tall * wide + to + Math.floor(x / CELL)]! += 1 / CELL ** 2;
    }
  }
  return planes;
}
