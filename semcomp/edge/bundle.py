"""A folder of exported graphs: its manifest, its tables, and a session of onnxruntime for each graph in use.

Every file is checked against the SHA-256 in the manifest before it is used. A session is made when its graph first
runs, so a client that only decodes never loads the analysis.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from semcomp.errors import MissingExtraError, ModelError, TargetError
from semcomp.weights.safetensors_reader import parse_tensors

FORMAT = "semcomp-edge-2"
"""Version 1 had two passes in one graph, and no graph that refines tables."""
EARLIER = ("semcomp-edge-1",)
MANIFEST = "manifest.json"
INSTALLED = Path(__file__).parents[1] / "graphs"
"""The graphs that come with the wheel semcomp-edge. A checkout has none."""
PASSES = ((2, False), (4, True))
"""Numbers of passes that the client knows, and whether they refine tables."""
LEVELS = ("disable", "basic", "extended", "layout", "all")
"""Graph optimisation levels of onnxruntime."""
INTEGERS = ("sigma", "refine")
"""Graphs of products of bytes."""
EXACT_FROM = "extended"
"""Onnxruntime makes weights unsigned from this level on, where the processor would saturate (x86-64 without VNNI)."""
_shared: list[int | None] = []
"""Number of threads of the pool that all sessions of this process share. Empty while there is no such pool."""


class Bundle:
    """The graphs of one folder. Several threads may use it."""

    def __init__(
        self,
        directory: str | Path | None = None,
        *,
        threads: int | None = None,
        optimisation: str = "all",
        one_pool: bool = False,
    ):
        """See `EdgeCodec`."""
        if optimisation not in LEVELS:
            raise TargetError(f"optimisation is one of {', '.join(LEVELS)}, not {optimisation!r}")
        self.directory, self.threads, self.optimisation = Path(directory or INSTALLED), threads, optimisation
        self.one_pool = one_pool
        self.manifest: dict[str, Any] = read_manifest(self.directory)
        self._sessions: dict[str, Any] = {}
        self._lock = Lock()
        self.products_are_exact = False
        """Set by semcomp/edge/products.py."""
        if one_pool:
            _share_pool(threads)
        elif _shared:
            raise TargetError("the clients of this process share one pool of threads: this one needs one_pool=True too")

    @property
    def heads(self) -> dict[str, dict[str, Any]]:
        """The manifest's entries of the heads, by name."""
        heads: dict[str, dict[str, Any]] = self.manifest["heads"]
        return heads

    @property
    def generators(self) -> dict[str, dict[str, Any]]:
        """The manifest's entries of the generators, by name."""
        generators: dict[str, dict[str, Any]] = self.manifest.get("generators", {})
        return generators

    @cached_property
    def tensors(self) -> dict[str, NDArray[Any]]:
        """The arrays of the probability tables."""
        entry = self.manifest["tables"]
        return parse_tensors(self.bytes_of(entry), name=self.directory / entry["file"])

    def graph(self, name: str) -> dict[str, Any]:
        """The manifest's entry of a graph.

        Raises:
            ModelError: The graph was not exported.
        """
        graphs: dict[str, dict[str, Any]] = self.manifest["graphs"]
        if name not in graphs:
            raise ModelError(
                f"{self.directory} has no graph {name}, only {', '.join(graphs)}: "
                "export it too, with semcomp export onnx --parts all"
            )
        return graphs[name]

    def run(self, name: str, outputs: Sequence[str], **inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """Run a graph. Returns the named outputs."""
        results: list[NDArray[Any]] = self._session(name).run(list(outputs), inputs)
        return results

    def _session(self, name: str) -> Any:
        with self._lock:
            if name not in self._sessions:
                self._sessions[name] = self._start(name)
            return self._sessions[name]

    def _start(self, name: str) -> Any:
        entry = self.graph(name)
        onnxruntime = _runtime()
        levels = onnxruntime.GraphOptimizationLevel
        options = onnxruntime.SessionOptions()
        level = self.optimisation
        if name in INTEGERS:
            level = max(level, EXACT_FROM, key=LEVELS.index)
            options.add_session_config_entry("session.x64quantprecision", "1")
        options.graph_optimization_level = getattr(levels, f"ORT_{_ORT_LEVELS[level]}")
        if self.one_pool:
            options.use_per_session_threads = False
        else:
            options.intra_op_num_threads = self.threads or 0
            options.add_session_config_entry("session.force_spinning_stop", "1")  # the next session needs the cores
        try:
            return onnxruntime.InferenceSession(self.bytes_of(entry), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(
                f"{entry['file']} does not load in onnxruntime {onnxruntime.__version__} ({error}); install a newer one"
            ) from error

    def size_of(self, entry: dict[str, Any]) -> int:
        """Bytes of a file that the manifest names; 0 where it is missing."""
        path = self.directory / str(entry["file"])
        return path.stat().st_size if path.is_file() else 0

    def bytes_of(self, entry: dict[str, Any]) -> bytes:
        """The bytes of a file that the manifest names. ModelError where they are not what it says."""
        path = self.directory / str(entry["file"])
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path} cannot be read ({error.strerror}); export the graphs again") from error
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise ModelError(f"{path} is not the file that its manifest names; export the graphs again")
        return data


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("The client on exported graphs", "edge") from error
    return onnxruntime


def has_one_pool() -> bool:
    """Return whether this onnxruntime can run all sessions of a process on one pool of threads."""
    return hasattr(_runtime(), "set_global_thread_pool_sizes")


def _share_pool(threads: int | None) -> None:
    """Make onnxruntime's global pool of threads.

    Raises:
        TargetError: The process has a pool of another size, or this onnxruntime has no global pool.
    """
    if not _shared:
        onnxruntime = _runtime()
        if not has_one_pool():
            raise TargetError(f"onnxruntime {onnxruntime.__version__} has no global pool: leave one_pool out")
        onnxruntime.set_global_thread_pool_sizes(threads or 0, 1)
        _shared.append(threads)
    elif _shared[0] != threads:
        raise TargetError(
            f"this process has a pool of {_shared[0] or 'all'} threads already, not of {threads or 'all'}"
        )


_ORT_LEVELS = {
    "disable": "DISABLE_ALL",
    "basic": "ENABLE_BASIC",
    "extended": "ENABLE_EXTENDED",
    "layout": "ENABLE_LAYOUT",
    "all": "ENABLE_ALL",
}


def read_manifest(directory: Path) -> dict[str, Any]:
    """Read and check the manifest of a folder.

    Raises:
        ModelError: There is no manifest, or it is damaged or of another version.
    """
    path = directory / MANIFEST
    if directory == INSTALLED and not path.exists():
        raise ModelError(
            f"no graphs are installed in {INSTALLED}, where the wheel semcomp-edge puts them: pip install semcomp for "
            "the library on torch, or give a folder that semcomp export onnx wrote"
        )
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] in EARLIER:
            raise ModelError(
                f"{path} was written by an earlier version of semcomp ({manifest['format']}, this client reads "
                f"{FORMAT}): write the graphs again with semcomp export onnx --force -o {directory}"
            )
        if manifest["format"] != FORMAT:
            raise ValueError(f"its format is {manifest['format']}, not {FORMAT}")
        entries = [manifest["tables"], *manifest["graphs"].values()]
        entries += [manifest["lossless"]] if manifest.get("lossless") else []
        for entry in entries:
            if Path(entry["file"]).name != entry["file"] or len(entry["sha256"]) != 64:
                raise ValueError(f"it names a file {entry['file']!r}")
        for key in ("entropy_id", "model_id"):
            if len(bytes.fromhex(manifest[key])) != 8:
                raise ValueError(f"its {key} is {manifest[key]!r}")
        _ = manifest["name"], [manifest["heads"][name]["task"] for name in manifest["heads"]]
        _ = [bytes.fromhex(entry["id"]) for entry in manifest.get("generators", {}).values()]
        _ = [int(manifest["sizes"][key]) for key in ("latents", "hyper", "nodes", "skip_below", "centroid")]
        if (passes := (manifest["sizes"]["passes"], bool(manifest["sizes"]["refined"]))) not in PASSES:
            raise ValueError(f"it has {passes[0]} passes")
        return manifest
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read ({error.strerror}); write the graphs with semcomp export onnx -o {directory}"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is damaged or of another version ({error}); export the graphs again") from error
