"""Train a decoder of segmentation-models-pytorch on latents: photos in .semc files, with their label maps inside.

python examples/latents_segmentation.py FOLDER [STEPS]

The files come from `semcomp encode photo.png --label-map mask.png --classes classes.txt`. No pixel is decoded.
"""

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from semcomp.data import SemcDataset, collate
from semcomp.torchvision_compat import declare_missing_operators

declare_missing_operators()
from segmentation_models_pytorch.base import SegmentationHead  # noqa: E402
from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3Decoder  # noqa: E402

VOID = 255


class LatentSegmenter(nn.Module):
    """DeepLabV3's decoder where its encoder would be the codec: y_hat (B, 320, h, w) -> logits (B, K, 16 h, 16 w)."""

    def __init__(self, classes: int, width: int = 128):
        super().__init__()
        self.decoder = DeepLabV3Decoder(320, width, atrous_rates=(2, 4, 6), aspp_separable=True, aspp_dropout=0.1)
        self.head = SegmentationHead(width, classes, kernel_size=1, upsampling=16)

    def forward(self, y_hat: Tensor) -> Tensor:
        companded = y_hat.sign() * y_hat.abs().sqrt()  # large latents weigh less, as in the codec's own networks
        logits: Tensor = self.head(self.decoder([companded]))
        return logits


def epochs(loader: DataLoader[Any]) -> Iterator[Any]:
    """Batches of one epoch after the other; each is shuffled by itself."""
    while True:
        yield from loader


def main(folder: str, steps: int = 200) -> float:
    """Train, and return the share of the pixels that are right afterwards."""
    torch.manual_seed(0)
    files = SemcDataset(folder, fields=("latents", "label_map"))
    classes = files[0]["classes"]
    loader = DataLoader(files, batch_size=8, shuffle=True, drop_last=len(files) >= 8, collate_fn=collate)
    network = LatentSegmenter(len(classes))
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for step, batch in enumerate(islice(epochs(loader), steps)):
        loss = F.cross_entropy(network(batch["latents"]), batch["label_map"].long(), ignore_index=VOID)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step}: loss {loss.item():.3f}")
    network.eval()
    right = known = 0
    with torch.inference_mode():
        for batch in DataLoader(files, batch_size=8, collate_fn=collate):
            mask = batch["label_map"] != VOID
            right += int((network(batch["latents"]).argmax(1) == batch["label_map"])[mask].sum())
            known += int(mask.sum())
    print(f"{100 * right / known:.1f} % of the pixels of {len(files)} files are right: {', '.join(classes)}")
    return right / known


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    main(sys.argv[1], *map(int, sys.argv[2:]))
