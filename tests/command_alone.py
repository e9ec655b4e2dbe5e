"""The command in a process without torch: `python -m tests.command_alone GRAPHS < commands.json`.

It hides what a client does not have, takes GRAPHS for the graphs that are installed, and runs each command of a JSON
list of argument lists. It prints a JSON list of [exit code, stdout, stderr].
"""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

HIDDEN = ("torch", "torchvision", "safetensors", "yaml", "tqdm", "scipy", "onnx", "onnxscript", "heads")
"""Packages that an environment with semcomp-edge alone does not have, or need not have."""
HIDDEN_ROOMS = ("networks", "codec", "restoration", "data", "eval", "export", "generative.generator_file")


def hide() -> None:
    """Let Python find none of these packages and rooms."""
    for name in (*HIDDEN, *(f"semcomp.{room}" for room in HIDDEN_ROOMS)):
        sys.modules[name] = None  # type: ignore[assignment]


def main() -> int:
    """Run every command of stdin; 0 unless this program itself fails."""
    hide()
    import semcomp.edge.bundle
    from semcomp.cli.main import main as command

    semcomp.edge.bundle.INSTALLED = Path(sys.argv[1])
    results = []
    for arguments in json.loads(sys.stdin.read()):
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                code = command(arguments)
            except SystemExit as stop:
                code = int(stop.code or 0)
        results.append([code, out.getvalue(), err.getvalue()])
    found = sorted(name for name in HIDDEN if sys.modules.get(name) is not None)
    assert not found, found
    print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
