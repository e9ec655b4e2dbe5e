"""The report of the fuzzer: outcomes, violations, and the most expensive files."""

from collections import Counter
from dataclasses import dataclass, field

from benchmarks.common import Check, at_most

GROWTH_LIMIT = 64 << 20  # bytes


@dataclass
class Report:
    """The results of some of the files. Reports add up."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """Number of files by "kind: outcome"."""
    violations: list[tuple[str, str]] = field(default_factory=list)
    """Pairs of a kind (outcome, time or memory) and a sentence that says what happened and how to repeat it."""
    slowest: tuple[float, str] = (0.0, "")
    """The slowest file: its time / the time that it may take, and its name."""
    hungriest: tuple[float, str] = (0.0, "")
    """The file that allocated most: its memory / what it may allocate, and its name."""
    growth: int = 0
    """Growth of the resident set's peak in bytes."""

    def add(self, other: "Report") -> None:
        """Adds another report."""
        self.outcomes += other.outcomes
        self.violations += other.violations
        self.slowest, self.hungriest = max(self.slowest, other.slowest), max(self.hungriest, other.hungriest)
        self.growth = max(self.growth, other.growth)

    def checks(self) -> list[Check]:
        """What has to hold."""
        broken = Counter(kind for kind, _ in self.violations)
        return [
            at_most("other exceptions, other pictures, silent losses", broken["outcome"], 0, ""),
            at_most("files that take longer than they may", broken["time"], 0, ""),
            at_most("files that allocate more than they may", broken["memory"], 0, ""),
            at_most("growth of the process", round(self.growth / 2**20, 2), GROWTH_LIMIT / 2**20, " MiB"),
        ]

    def lines(self) -> list[str]:
        """The report as text."""
        lines = [f"  {name:<44}{count:>8,}" for name, count in sorted(self.outcomes.items())]
        lines += ["", "slowest: {} of the time that it may take, {}".format(*self.slowest)]
        lines += ["most allocated: {} of what it may, {}".format(*self.hungriest)]
        return lines + [f"VIOLATION {text}" for _, text in self.violations[:20]]
