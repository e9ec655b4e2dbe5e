"""Fine-tune a classifier of torchvision on latents: .semc files in a folder for each class.

python examples/latents_classifier.py FOLDER [STEPS] [--pretrained]

The first half of ResNet-18 makes features at 1/8 of the picture; latents take their place. With --pretrained the second
half begins with ImageNet's weights, which torchvision downloads.
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
from semcomp.data.files import folder_name
from semcomp.torchvision_compat import declare_missing_operators

declare_missing_operators()
from torchvision.models import ResNet18_Weights, resnet18  # noqa: E402


class LatentResNet(nn.Module):
    """The second half of ResNet-18 behind one layer: y_hat (B, 320, h, w), valid (B, h, w) -> logits (B, K)."""

    def __init__(self, classes: int, *, pretrained: bool = False):
        super().__init__()
        resnet = resnet18(weights=ResNet18_Weights.DEFAULT if pretrained else None)
        self.entry = nn.Sequential(nn.Conv2d(320, 4 * 128, 1), nn.PixelShuffle(2), nn.BatchNorm2d(128), nn.ReLU())
        self.body = nn.Sequential(resnet.layer3, resnet.layer4)
        self.linear = nn.Linear(512, classes)

    def forward(self, y_hat: Tensor, valid: Tensor) -> Tensor:
        grid = self.body(self.entry(y_hat.sign() * y_hat.abs().sqrt()))
        weight = F.adaptive_avg_pool2d(valid[:, None].float(), grid.shape[-2:])  # what was padded does not count
        logits: Tensor = self.linear((grid * weight).sum((2, 3)) / weight.sum((2, 3)))
        return logits


def epochs(loader: DataLoader[Any]) -> Iterator[Any]:
    """Batches of one epoch after the other; each is shuffled by itself."""
    while True:
        yield from loader


def main(folder: str, steps: int = 200, *, pretrained: bool = False) -> float:
    """Train, and return the share of the files that are right afterwards."""
    torch.manual_seed(0)
    files = SemcDataset(folder, target=folder_name)
    classes = sorted({folder_name(path) for path in files.paths})
    loader = DataLoader(files, batch_size=8, shuffle=True, drop_last=len(files) >= 8, collate_fn=collate)
    network = LatentResNet(len(classes), pretrained=pretrained)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-4)
    for step, batch in enumerate(islice(epochs(loader), steps)):
        target = torch.tensor([classes.index(name) for name in batch["target"]])
        loss = F.cross_entropy(network(batch["latents"], batch["valid"]), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step}: loss {loss.item():.3f}")
    network.eval()
    right = 0
    with torch.inference_mode():
        for batch in DataLoader(files, batch_size=8, collate_fn=collate):
            found = network(batch["latents"], batch["valid"]).argmax(1).tolist()
            right += sum(classes[k] == name for k, name in zip(found, batch["target"], strict=True))
    print(f"{right} of {len(files)} files are right: {', '.join(classes)}")
    return right / len(files)


if __name__ == "__main__":
    given = [argument for argument in sys.argv[1:] if argument != "--pretrained"]
    if not 1 <= len(given) <= 2:
        sys.exit(__doc__)
    main(given[0], *map(int, given[1:]), pretrained="--pretrained" in sys.argv)
