"""What guides a generator, and which one a file was made for: the part of decoding that needs no network.

segmentation = stored_guide(container)                  # the stored label map, classes renamed on request
planes = guide_planes(label_map, classes=11, rows=.., columns=..)
check_generator(container, name=.., generator_id=.., entropy_id=..)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semcomp.errors import ImageError
from semcomp.semantics.class_names import translation
from semcomp.semantics.results import Segmentation
from semcomp.types import STRIDE_Y

GUIDE_CELL = 8
"""Side in pixels of a cell of the label map that guides a generator."""


def guide_of(
    segmentation: Segmentation | None, *, name: str, classes: Sequence[str], rows: int, columns: int
) -> NDArray[Any]:
    """What the generator `name`, which knows `classes`, reads of a label map: see `guide_planes`.

    Classes are matched by their names; one that the generator does not know guides nothing. ImageError where it knows
    none of them.
    """
    if segmentation is None:
        return guide_planes(None, classes=len(classes), rows=rows, columns=columns)
    numbers = translation(segmentation.classes, classes)
    if all(numbers[k] == len(classes) for k in range(len(segmentation.classes))):
        raise ImageError(f"the generator {name} knows none of the label map's classes; it knows {', '.join(classes)}")
    return guide_planes(numbers[segmentation.label_map], classes=len(classes), rows=rows, columns=columns)


def guide_planes(label_map: NDArray[Any] | None, *, classes: int, rows: int, columns: int) -> NDArray[Any]:
    """The `guide` of a generator, float32 (1, K+1, 2 rows, 2 columns): for each class the part of a cell it covers.

    `label_map` is (H, W), at most 16 rows x 16 columns pixels; numbers of K and above belong to no class, and pixels
    outside the picture repeat its edge. None is a picture without a map: then the last plane is 1.
    """
    fine_rows, fine_columns = STRIDE_Y // GUIDE_CELL * rows, STRIDE_Y // GUIDE_CELL * columns
    planes = np.zeros((1, classes + 1, fine_rows, fine_columns), np.float32)
    if label_map is None:
        planes[:, classes] = 1
        return planes
    height, width = label_map.shape
    padded = np.pad(label_map, ((0, STRIDE_Y * rows - height), (0, STRIDE_Y * columns - width)), mode="edge")
    cells = padded.reshape(fine_rows, GUIDE_CELL, fine_columns, GUIDE_CELL)
    for number in range(classes):
        planes[0, number] = (cells == number).mean(axis=(1, 3), dtype=np.float32)
    return planes
