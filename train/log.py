"""The log of a run (log.jsonl, TensorBoard, a bar on a terminal), and the signals that stop it."""

import contextlib
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm


class Log:
    """Writes log.jsonl and TensorBoard, and shows a bar if standard error is a terminal."""

    def __init__(
        self,
        folder: Path,
        *,
        quiet: bool,
        every: int = 50,
        figures: tuple[str, ...] = ("loss", "bpp", "psnr_db"),
        keep: bool = True,
    ):
        from torch.utils.tensorboard import SummaryWriter

        self.every, self.quiet, self.figures = every, quiet or not keep, figures
        self.rows: list[dict[str, float]] = []
        self.scratch = None if keep else TemporaryDirectory()  # another process keeps the log of the run
        folder = folder if self.scratch is None else Path(self.scratch.name)
        self.file = (folder / "log.jsonl").open("a")
        self.board = SummaryWriter(str(folder / "tensorboard"))
        self.bar = tqdm(
            total=100,
            unit="%",
            disable=self.quiet or not sys.stderr.isatty(),
            bar_format=("{percentage:5.1f}% {bar} {elapsed}<{remaining} {postfix}"),
        )

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.board.close()
        self.bar.close()
        if self.scratch is not None:
            self.scratch.cleanup()

    def step(self, row: dict[str, float], *, progress: float) -> None:
        """Adds the figures of a step. Their means are written after every `every` steps."""
        if self.rows and self.rows[0].keys() != row.keys():
            self.rows = []  # another phase of the run begins
        self.rows.append(row)
        if len(self.rows) < self.every:
            return
        mean = {key: sum(r[key] for r in self.rows) / len(self.rows) for key in row}
        mean["step"] = row["step"]
        self.rows = []
        self.file.write(json.dumps({key: round(value, 5) for key, value in mean.items()}) + "\n")
        self.file.flush()
        for key, value in mean.items():
            self.board.add_scalar(f"train/{key}", value, row["step"])
        self.bar.n = min(100.0, 100 * progress)
        figures = " ".join(f"{key} {mean[key]:.3f}" for key in self.figures if key in mean)
        self.bar.set_postfix_str(f"step {row['step']} {figures}")

    def write(self, row: dict[str, Any]) -> None:
        """Writes a line of validation to the log and the terminal."""
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()
        for key, value in row.items():
            if "bd_rate" in key and value is not None:
                self.board.add_scalar(f"validation/{key}", value, row["step"])
        if not self.quiet:
            points = "  ".join(f"{b:.3f}/{d:.2f}" for b, d in zip(row["bpp"], row["psnr_db"], strict=True))
            native = f", native {row['native_bd_rate']} %" if "native_bd_rate" in row else ""
            head = f"{row['minutes']:7.1f} min  step {row['step']}  BD-rate vs JPEG {row['bd_rate']} %{native}"
            tqdm.write(f"{head}  {points}", file=sys.stderr)


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Yields a list that receives the numbers of Ctrl-C and SIGTERM, instead of ending the program."""
    received: list[int] = []

    def note(number: int, _frame: object) -> None:
        received.append(number)

    old = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
