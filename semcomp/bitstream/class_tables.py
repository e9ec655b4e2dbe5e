"""Well-known classes with their colours, which a file names by number and does not carry. Standard library only.

Numbers are part of the file format: one that was given is never given again, and what it stands for never changes.
"""

Palette = tuple[tuple[int, int, int], ...]


def _table(text: str) -> tuple[tuple[str, ...], Palette]:
    rows = [entry.split() for entry in text.split(",")]
    names = tuple(name for name, _ in rows)
    return names, tuple((int(c[:2], 16), int(c[2:4], 16), int(c[4:], 16)) for _, c in rows)


CLASS_TABLES: dict[int, tuple[tuple[str, ...], Palette]] = {
    1: _table(  # CamVid's 11 classes (Brostow et al. 2009; Badrinarayanan et al. 2017)
        "Sky 46a0dc, Building 8c6450, Pole c8c8a0, Road 80407a, Pavement c896c8, Tree 4b8c28, SignSymbol e6be1e, "
        "Fence 7d7d8c, Car 2832c8, Pedestrian dc2837, Bicyclist 0a8c8c"
    ),
    2: _table(  # Pascal VOC's 21 (Everingham et al. 2010), in its own colours
        "background 000000, aeroplane 800000, bicycle 008000, bird 808000, boat 000080, bottle 800080, bus 008080, "
        "car 808080, cat 400000, chair c00000, cow 408000, diningtable c08000, dog 400080, horse c00080, "
        "motorbike 408080, person c08080, pottedplant 004000, sheep 804000, sofa 00c000, train 80c000, "
        "tvmonitor 004080"
    ),
}
"""Names and colours by number."""


def table_number(classes: tuple[str, ...], palette: Palette) -> int | None:
    """The number of the table that these are, exactly; None where they are none."""
    for number, table in CLASS_TABLES.items():
        if table == (tuple(classes), tuple(tuple(colour) for colour in palette)):
            return number
    return None
