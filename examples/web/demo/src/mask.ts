// Which 16x16 positions of a photo are to be stored: whole classes, and what is painted or erased over them.

/** Pixels a side of a position. */
export const POSITION = 16;

const MOST_STEPS = 100;

interface Snapshot {
  classes: Set<number>;
  painted: Int8Array;
}

/** Nothing marked means that the whole picture is stored. */
export class KeepMask {
  readonly rows: number;
  readonly columns: number;
  private classes = new Set<number>();
  /** 1 painted, -1 erased, 0 as the classes say. */
  private painted: Int8Array;
  private past: Snapshot[] = [];
  /** Positions of each class of the label map. */
  private footprints = new Map<number, Uint8Array>();

  constructor(width: number, height: number) {
    this.rows = Math.ceil(height / POSITION);
    this.columns = Math.ceil(width / POSITION);
    this.painted = new Int8Array(this.rows * this.columns);
  }

  /**
   * Takes the label map that classes are chosen from; `fresh` where its numbers mean other classes than before: what
   * was chosen stays as if painted.
   */
  setMap(map: Uint8Array, width: number, height: number, fresh: boolean): void {
    if (fresh) this.flatten();
    this.footprints = footprints(map, width, height, this.rows, this.columns);
  }

  /** Classes chosen so are released, and what they marked stays as if painted. */
  flatten(): void {
    if (!this.classes.size) return;
    this.painted = Int8Array.from(this.marked(), (value) => (value ? 1 : 0));
    this.classes.clear();
    this.past = [];
  }

  hasClass(number: number): boolean {
    return this.classes.has(number);
  }

  toggleClass(number: number): void {
    this.begin();
    if (!this.classes.delete(number)) this.classes.add(number);
    // Choosing a class brings all of it back, what was erased of it included.
    if (this.classes.has(number)) {
      this.footprints.get(number)?.forEach((inside, at) => {
        if (inside && this.painted[at]! < 0) this.painted[at] = 0;
      });
    }
  }

  /** Starts a step that `undo` takes back as one. */
  begin(): void {
    this.past.push({ classes: new Set(this.classes), painted: this.painted.slice() });
    if (this.past.length > MOST_STEPS) this.past.shift();
  }

  /** Takes back a step that changed nothing. */
  forgetStep(): void {
    this.past.pop();
  }

  /** Marks or erases a disc of positions, `size` across, around (column, row). Whether anything changed. */
  paint(column: number, row: number, size: number, mark: boolean): boolean {
    const radius = size / 2;
    const offset = size % 2 ? 0 : 0.5; // even discs are centred on a corner
    let changed = false;
    for (let r = Math.ceil(row - radius); r <= row + radius; r++) {
      for (let c = Math.ceil(column - radius); c <= column + radius; c++) {
        if (r < 0 || c < 0 || r >= this.rows || c >= this.columns) continue;
        if (Math.hypot(c - column + offset, r - row + offset) >= radius) continue;
        const at = r * this.columns + c;
        changed ||= this.painted[at] !== (mark ? 1 : -1);
        this.painted[at] = mark ? 1 : -1;
      }
    }
    return changed;
  }

  clear(): void {
    this.begin();
    this.classes.clear();
    this.painted.fill(0);
  }

  invert(): void {
    this.begin();
    const marked = this.marked();
    this.classes.clear();
    this.painted = Int8Array.from(marked, (value) => (value ? -1 : 1));
  }

  undo(): void {
    const before = this.past.pop();
    if (before) ({ classes: this.classes, painted: this.painted } = before);
  }

  get canUndo(): boolean {
    return this.past.length > 0;
  }

  /** 1 for each position that is marked, row by row. */
  marked(): Uint8Array {
    const marked = new Uint8Array(this.painted.length);
    for (const number of this.classes) {
      this.footprints.get(number)?.forEach((inside, at) => {
        if (inside) marked[at] = 1;
      });
    }
    this.painted.forEach((value, at) => {
      if (value) marked[at] = value > 0 ? 1 : 0;
    });
    return marked;
  }

  /** What the codec is asked to store, or null where that is the whole picture: nothing is marked, or everything. */
  request(): Uint8Array | null {
    const marked = this.marked();
    const kept = marked.reduce((sum, value) => sum + value, 0);
    return kept === 0 || kept === marked.length ? null : marked;
  }
}

/** Of each class the positions that hold a pixel of it, or one at most 16 pixels away: one more position all around. */
function footprints(
  map: Uint8Array, width: number, height: number, rows: number, columns: number,
): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  const mark = (number: number, row: number, column: number) => {
    let positions = found.get(number);
    if (!positions) found.set(number, (positions = new Uint8Array(rows * columns)));
    for (let r = Math.max(0, row - 1); r <= Math.min(rows - 1, row + 1); r++) {
      for (let c = Math.max(0, column - 1); c <= Math.min(columns - 1, column + 1); c++) positions[r * columns + c] = 1;
    }
  };
  const seen = new Int32Array(256).fill(-1); // where a class was met last
  for (let at = 0; at < rows * columns; at++) {
    const row = Math.floor(at / columns);
    const column = at % columns;
    const right = Math.min(width, POSITION * (column + 1));
    for (let y = POSITION * row; y < Math.min(height, POSITION * (row + 1)); y++) {
      for (let pixel = y * width + POSITION * column; pixel < y * width + right; pixel++) {
        const number = map[pixel]!;
        if (seen[number] === at) continue;
        seen[number] = at;
        mark(number, row, column);
      }
    }
  }
  return found;
}
