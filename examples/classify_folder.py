"""What does a folder of .semc files show? Reads their latents; no pixel is decoded.

python examples/classify_folder.py FOLDER HEAD
"""

import sys
from collections import Counter
from pathlib import Path

import semcomp
from semcomp.semantics.head import Segmentation


def main(folder: str, head_name: str) -> None:
    """Print the best labels of each file, and how often each label comes first."""
    codec, head = semcomp.load(), semcomp.load_head(head_name)
    firsts: Counter[str] = Counter()
    for path in sorted(Path(folder).rglob("*.semc")):
        answer = head(codec.latents(path.read_bytes()))
        labels = answer.labels() if isinstance(answer, Segmentation) else answer
        firsts.update(labels.names[:1] or ["nothing known"])
        print(path, *(f"{n} {s:.2f}" for n, s in zip(labels.names[:3], labels.scores, strict=False)), sep="  ")
    for name, count in firsts.most_common():
        print(f"{count:6}  {name}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
