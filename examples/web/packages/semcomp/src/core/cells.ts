// The cells of a label map as coded symbols: each as one of its neighbours' classes, or by number. FORMAT_PAYLOADS.md
// has the rules. Cell (r, c) belongs to wavefront c + 2r, whose cells do not see each other.
import { Counts, Reader, Writer } from "./adaptive.ts";
import { COPY_AGAIN } from "./bytes.ts";
import { FormatError } from "./errors.ts";

export interface Cells {
  rows: number;
  columns: number;
  /** Class numbers, row by row. */
  cells: Uint8Array;
}

/** The choice "none of the neighbours"; the others are the neighbours' classes, numbered as they appear. */
const NONE = 4;

/** The 15 ways in which W, N, NE, NW can be equal: the choice that each neighbour's class is. */
const PATTERNS = patterns();
const CHOICES = PATTERNS.map((row) => Math.max(...row) + 1);
/** Weights of the choices before anything is known, by how many there are. */
const WEIGHTS = [[30, 0, 0, 0, 2], [15, 15, 0, 0, 2], [10, 10, 10, 0, 2], [8, 8, 7, 7, 2]];
/** The number of a pattern by its choices as digits of base 4. */
const NUMBER_OF = new Uint8Array(256);
PATTERNS.forEach((row, number) => (NUMBER_OF[row.reduce((code, choice) => 4 * code + choice, 0)] = number));

function patterns(): number[][] {
  let found: number[][] = [[]];
  for (let neighbour = 0; neighbour < 4; neighbour++) {
    found = found.flatMap((row) => Array.from({ length: Math.max(-1, ...row) + 2 }, (_, k) => [...row, k]));
  }
  return found;
}

/** The cells of one wavefront. */
interface Front {
  low: number;
  high: number;
  /** The class of row r at r + 1. Where the front ends, its last cell is repeated. */
  values: Uint8Array;
}

/** Gives cells to a writer, or fills them from a reader. FormatError from a reader. */
export function codeCells(map: Cells, stream: Writer | Reader, classes: number): void {
  new CellCoder(map, stream, classes).run();
}

class CellCoder {
  private readonly choices: Counts;
  private readonly numbers: Counts;
  private readonly five = new Float64Array(5);
  private readonly many: Float64Array;
  /** Of the last three wavefronts. */
  private past: Uint8Array[];

  constructor(private readonly map: Cells, private readonly stream: Writer | Reader, private readonly classes: number) {
    this.choices = new Counts(CHOICES.map((count) => WEIGHTS[count - 1]!), PATTERNS.length * classes * classes);
    this.numbers = new Counts([new Array<number>(Math.max(classes, 2)).fill(1)], classes);
    this.many = new Float64Array(this.numbers.alphabet);
    this.past = [0, 1, 2].map(() => new Uint8Array(map.rows + 2));
  }

  run(): void {
    const { rows, columns, cells } = this.map;
    for (let number = 0; number < columns + 2 * rows - 2; number++) {
      const low = Math.max(0, Math.floor((number - columns + 2) / 2));
      const high = Math.min(rows - 1, Math.floor(number / 2));
      let values = this.past[0]!; // of a wavefront without cells, as every second one is in a map of one column
      if (low <= high) {
        values = new Uint8Array(rows + 2);
        const at = (row: number) => row * columns + number - 2 * row;
        for (let row = low; row <= high; row++) values[row + 1] = cells[at(row)]!;
        this.codeNumbers({ low, high, values }, this.codeChoices({ low, high, values }));
        for (let row = low; row <= high; row++) cells[at(row)] = values[row + 1]!;
        values[low] = values[low + 1]!;
        values[high + 2] = values[high + 1]!;
      }
      this.past = [values, this.past[0]!, this.past[1]!];
    }
  }

  /** The classes of W, N, NE, NW of a row of the wavefront. */
  private around(row: number): number[] {
    const [last, before, third] = this.past;
    return [last![row + 1]!, before![row]!, last![row]!, third![row]!];
  }

  /** Codes the choice of every cell; a reader's `values` follow from it. The rows whose choice was none. */
  private codeChoices({ low, high, values }: Front): number[] {
    const { classes, stream, five } = this;
    const [coarse, fine, chosen, rest]: number[][] = [[], [], [], []];
    for (let row = low; row <= high; row++) {
      const around = this.around(row);
      const pattern = patternOf(around);
      const numbered = PATTERNS[pattern]!;
      const between = (pattern * classes + around[0]!) * classes + around[1]!;
      this.choices.frequencies(pattern, between, five);
      let choice: number;
      if (stream instanceof Writer) {
        const neighbour = around.indexOf(values[row + 1]!);
        choice = neighbour < 0 ? NONE : numbered[neighbour]!;
        stream.code(five, choice);
      } else {
        choice = stream.code(five);
        if (choice !== NONE && choice >= CHOICES[pattern]!) {
          throw new FormatError(`a cell of the label map is like a neighbour that it does not have; ${COPY_AGAIN}`);
        }
        if (choice !== NONE) values[row + 1] = around[numbered.indexOf(choice)]!;
      }
      coarse!.push(pattern);
      fine!.push(between);
      chosen!.push(choice);
      if (choice === NONE) rest!.push(row);
    }
    this.choices.add(coarse!, fine!, chosen!);
    return rest!;
  }

  /** Codes the class of each of `rows`, which is none of its neighbours'. */
  private codeNumbers({ values }: Front, rows: readonly number[]): void {
    const { classes, stream, many } = this;
    const [coarse, fine, found]: number[][] = [[], [], []];
    for (const row of rows) {
      const around = this.around(row);
      this.numbers.frequencies(0, around[0]!, many);
      if (stream instanceof Writer) {
        stream.code(many, values[row + 1]!);
      } else {
        const number = stream.code(many);
        if (number >= classes || around.includes(number)) {
          throw new FormatError(`a class of the label map does not exist or is a neighbour's; ${COPY_AGAIN}`);
        }
        values[row + 1] = number;
      }
      coarse!.push(0);
      fine!.push(around[0]!);
      found!.push(values[row + 1]!);
    }
    this.numbers.add(coarse!, fine!, found!);
  }
}

function patternOf(around: readonly number[]): number {
  let next = 0;
  let code = 0;
  for (let i = 0; i < 4; i++) {
    const first = around.indexOf(around[i]!);
    code = 4 * code + (first < i ? (code >> (2 * (i - 1 - first))) & 3 : next++);
  }
  return NUMBER_OF[code]!;
}
