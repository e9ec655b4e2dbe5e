// Well-known classes with their colours, which a file names by a number: those of the format, see FORMAT_PAYLOADS.md.

export interface ClassTable {
  classes: string[];
  palette: [number, number, number][];
}

function table(text: string): ClassTable {
  const rows = text.split(",").map((entry) => entry.trim().split(" ") as [string, string]);
  return {
    classes: rows.map(([name]) => name),
    palette: rows.map(([, colour]) => [0, 2, 4].map((at) => parseInt(colour.slice(at, at + 2), 16)) as [number, number, number]),
  };
}

export const CLASS_TABLES = new Map([
  [1, table(
    "Sky 46a0dc, Building 8c6450, Pole c8c8a0, Road 80407a, Pavement c896c8, Tree 4b8c28, SignSymbol e6be1e, "
      + "Fence 7d7d8c, Car 2832c8, Pedestrian dc2837, Bicyclist 0a8c8c",
  )],
  [2, table(
    "background 000000, aeroplane 800000, bicycle 008000, bird 808000, boat 000080, bottle 800080, bus 008080, "
      + "car 808080, cat 400000, chair c00000, cow 408000, diningtable c08000, dog 400080, horse c00080, "
      + "motorbike 408080, person c08080, pottedplant 004000, sheep 804000, sofa 00c000, train 80c000, "
      + "tvmonitor 004080",
  )],
]);

/** The number of the table that these are, exactly; null where they are none. */
export function tableNumber(classes: readonly string[], palette: readonly (readonly number[])[]): number | null {
  const given = JSON.stringify([classes, palette]);
  for (const [number, known] of CLASS_TABLES) {
    if (given === JSON.stringify([known.classes, known.palette])) return number;
  }
  return null;
}
