"""How far answers are apart is counted in images or pixels, and in scores."""

from __future__ import annotations

import numpy as np

from benchmarks.edge_int8 import Agreement
from benchmarks.tables.clients import edge_answers
from semcomp.semantics.results import Labels, Segmentation


def test_scores_of_labels_that_both_give_are_compared() -> None:
    found = Agreement()
    found.add(Labels(names=("dog", "cat"), scores=(0.8, 0.2)), Labels(names=("dog", "cat"), scores=(0.77, 0.23)))
    found.add(Labels(names=("dog",), scores=(0.52,)), Labels(names=("cat", "dog"), scores=(0.51, 0.49)))
    found.add(Labels(names=(), scores=()), Labels(names=(), scores=()))
    assert found.to_dict() == {"same": 66.67, "apart": 0.03, "most_apart": 0.03}


def test_pixels_of_maps_are_compared() -> None:
    found, one, other = Agreement(), np.zeros((2, 5), np.uint8), np.zeros((2, 5), np.uint8)
    other[0, 0] = 1
    maps = [Segmentation(label_map=each, classes=("a", "b"), palette=((0, 0, 0), (1, 1, 1))) for each in (one, other)]
    found.add(*maps)
    assert found.to_dict() == {"same": 90.0}


def test_a_page_says_what_was_found() -> None:
    heads = {
        "imagenette": {"same": 98.75, "apart": 0.0012, "most_apart": 0.0371, "pictures": 400},
        "street": {"same": 99.37, "pictures": 101},
    }
    said = edge_answers({"int8": {"heads": heads}})
    assert "98.8 % of first labels | 0.001, at most 0.037 | 400 images" in said
    assert "99.4 % of pixels | | 101 images" in said
