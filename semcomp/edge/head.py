"""Exported heads: latents to labels or to a label map."""

import numpy as np
from numpy.typing import NDArray

from semcomp.edge.bundle import Bundle
from semcomp.errors import ModelError
from semcomp.semantics.embedding import POOLED
from semcomp.semantics.halving import halved_down
from semcomp.semantics.head import Classifier, Head, Segmenter
from semcomp.semantics.limits import NO_LIMITS, Limits
from semcomp.semantics.results import Labels, Segmentation
from semcomp.semantics.upsample import full_resolution
from semcomp.types import Latents

HALVE = "halve"
"""Name of the graph that halves latents."""


class EdgeHead(Head):
    """One head of a bundle. It keeps quiet below the limits that the manifest carries."""

    def __init__(self, bundle: Bundle, name: str):
        entry = bundle.heads[name]
        self.bundle, self.name, self.graph = bundle, name, str(entry["graph"])
        self.classes = tuple(entry["classes"])
        self.origin = str(entry["origin"])
        self.entropy_id = bytes.fromhex(bundle.manifest["entropy_id"])
        self.halved_from = entry.get("halved_from")
        given = entry.get("limits")
        self.limits = NO_LIMITS if given is None else Limits.from_dict(given, self.classes)

    @property
    def gives_features(self) -> bool:
        """Whether the graph has the features of the head. Graphs of earlier exports have none."""
        return any(output["name"] == "features" for output in self.bundle.graph(self.graph)["outputs"])

    def features(self, latents: Latents) -> NDArray[np.float32]:
        if not self.gives_features:
            raise ModelError(
                f"{self.bundle.directory} holds the head {self.name} without its features: export it again, or choose "
                f"{POOLED}"
            )
        vector: NDArray[np.float32] = self.run(latents, "features")[0][0]
        return vector

    def seen(self, latents: Latents) -> Latents:
        return halved_down(latents, self.halved_from, self._half if HALVE in self.bundle.manifest["graphs"] else None)

    def _half(self, y_hat: NDArray[np.float32]) -> NDArray[np.float32]:
        half: NDArray[np.float32] = self.bundle.run(HALVE, ("half",), y_hat=y_hat)[0]
        return half

    def run(self, latents: Latents, *outputs: str) -> list[NDArray[np.float32]]:
        """Run the head's graph; returns the outputs of those names."""
        quality = np.array([latents.quality], np.int64)
        return list(self.bundle.run(self.graph, outputs, y_hat=latents.y_hat, quality=quality))


class EdgeClassifier(EdgeHead, Classifier):
    """A head of a bundle that gives labels."""

    def answer(self, latents: Latents) -> Labels:
        if self.limits.energy is None:  # also in a folder whose graphs give no energy
            (scores,) = self.run(latents, "scores")
            return Labels.ranked(self.classes, scores[0].tolist(), head=self.name)
        scores, energy = self.run(latents, "scores", "energy")
        labels = Labels.ranked(self.classes, scores[0].tolist(), head=self.name)
        return self.limits.quiet_labels(labels, float(energy[0]))


class EdgeSegmenter(EdgeHead, Segmenter):
    """A head of a bundle that gives a label map."""

    knows_confidence = True

    def __init__(self, bundle: Bundle, name: str):
        super().__init__(bundle, name)
        self.palette = tuple((int(r), int(g), int(b)) for r, g, b in bundle.heads[name]["palette"])

    def answer(self, latents: Latents) -> Segmentation:
        size = {"height": latents.height, "width": latents.width}
        (logits,) = self.run(latents, "logits")
        return Segmentation(
            label_map=self.limits.quiet(full_resolution(logits, **size), logits, **size),
            classes=self.classes,
            palette=self.palette,
            head=self.name,
        )


def edge_head(bundle: Bundle, name: str) -> EdgeClassifier | EdgeSegmenter:
    """Make a head of a bundle."""
    return EdgeClassifier(bundle, name) if bundle.heads[name]["task"] == "classify" else EdgeSegmenter(bundle, name)
