"""Exported heads: latents -> labels or a label map."""

import numpy as np

from semcomp.edge.bundle import Bundle
from semcomp.errors import ModelError
from semcomp.semantics.results import Labels, Segmentation
from semcomp.semantics.upsample import full_resolution
from semcomp.types import Latents


class EdgeHead:
    """One head of a bundle; call it with latents."""

    def __init__(self, bundle: Bundle, name: str):
        entry = bundle.heads[name]
        self.bundle, self.name, self.task = bundle, name, str(entry["task"])
        self.classes = tuple(entry["classes"])
        self.palette = tuple((int(r), int(g), int(b)) for r, g, b in entry["palette"])
        self.origin = str(entry["origin"])
        self.entropy_id = bytes.fromhex(bundle.manifest["entropy_id"])

    def __call__(self, latents: Latents) -> Labels | Segmentation:
        """The answer for one picture. ModelError for latents of another codec."""
        if latents.entropy_id != self.entropy_id:
            raise ModelError(
                f"the head {self.name} was trained on latents with entropy id {self.entropy_id.hex()}, these have "
                f"{latents.entropy_id.hex()}: export a head for this codec"
            )
        graph, quality = self.bundle.heads[self.name]["graph"], np.array([latents.quality], np.int64)
        if self.task == "classify":
            (scores,) = self.bundle.run(graph, ("scores",), y_hat=latents.y_hat, quality=quality)
            return Labels.ranked(self.classes, scores[0].tolist(), head=self.name)
        (logits,) = self.bundle.run(graph, ("logits",), y_hat=latents.y_hat, quality=quality)
        return Segmentation(
            label_map=full_resolution(logits, height=latents.height, width=latents.width),
            classes=self.classes,
            palette=self.palette,
            head=self.name,
        )
