"""`semcomp models`: the codecs, heads, generators, restorers and lossless networks at hand."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semcomp.cli.answers import say_failure
from semcomp.cli.batch import on_graphs
from semcomp.cli.exit_codes import EXIT_OK, UsageError, common_exit_code
from semcomp.cli.failures import Failure, explain
from semcomp.cli.shared_options import NewParser, SharedOptions, add_graphs
from semcomp.cli.terminal import say, say_json
from semcomp.errors import ModelError, SemcompError

if TYPE_CHECKING:
    from semcomp.generative.generator_file import TrainedGenerator
    from semcomp.lossless.model import LosslessModel
    from semcomp.restoration.restorer_file import TrainedRestorer
    from semcomp.semantics.head import Head


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.output],
        description="List codecs with parameters, kMAC a pixel and ids, heads and generators with classes, restorers, "
        "lossless networks.",
    )
    add_graphs(parser)
    parser.add_argument("names", nargs="*", metavar="NAME", help="names or .safetensors paths (all inside the package)")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """List what is inside the package, or the weights of some names; returns the exit code."""
    if on_graphs(options):
        return _list_graphs(options)
    missing = {name: error for name in options.names if (error := _reason_against(name)) is not None}
    failures = [_failure(name, error, options) for name, error in missing.items()]
    if options.names and len(missing) == len(options.names):
        return common_exit_code(failure.exit_code for failure in failures)
    from semcomp.codec.codec import load
    from semcomp.generative.generator_file import load_generator
    from semcomp.lossless import weights as lossless
    from semcomp.restoration.restorer_file import DEFAULTS, load_restorer
    from semcomp.semantics.head import head_names, load_head
    from semcomp.weights.files import WEIGHTS, codec_names, generator_names

    if not codec_names():
        raise ModelError(f"no weights in {WEIGHTS}: install semcomp again")
    codec_of = {name: codec for codec, name in DEFAULTS.items()}
    groups: list[tuple[Sequence[str], Callable[[str], dict[str, Any]]]] = [
        (codec_names(), lambda name: {"kind": "codec", **load(name).describe()}),
        (head_names(), lambda name: head_facts(load_head(name))),
        (generator_names(), lambda name: generator_facts(load_generator(name))),
        (tuple(codec_of), lambda name: restorer_facts(load_restorer(None, codec=codec_of[name]))),
        ([lossless.NAME] * lossless.EMBEDDED.exists(), lambda name: lossless_facts(lossless.load_weights(), name=name)),
    ]
    found = [(name, facts) for group, facts in groups for name in group]
    if options.names:  # one name may mean several: "street" is a head and a generator
        known = {name for name, _ in found}
        found = [(name, facts) for name, facts in found if name in options.names]
        found += [(name, facts_of_file) for name in options.names if name not in known and name not in missing]
    for name, facts_of in found:
        try:
            facts = facts_of(name)
        except SemcompError as error:
            failures.append(_failure(name, error, options))
            continue
        _show(facts, options)
    return common_exit_code(failure.exit_code for failure in failures)


def _reason_against(name: str) -> SemcompError | None:
    """Return the error of a name that means no weights, or a file of another kind, before torch is loaded."""
    from semcomp.semantics.head import head_names
    from semcomp.weights.files import WEIGHTS, codec_file, format_of, generator_names

    inside = {path.stem for path in WEIGHTS.glob("*.safetensors")}
    if name in inside | {*head_names(), *generator_names()}:
        return None
    try:
        format_of(codec_file(name))
    except SemcompError as error:
        return error
    return None


def _failure(name: str, error: SemcompError, options: Namespace) -> Failure:
    failure = explain(error, source=name)
    say_failure(name, failure, options)
    return failure


def facts_of_file(name: str | Path) -> dict[str, Any]:
    """Load weights from a file, which checks them, and return what they know about themselves.

    Args:
        name: The file. What is not a file is taken for the name of a codec, perhaps on a hub.
    """
    from semcomp.weights.files import CODEC, codec_file, format_of

    form = format_of(Path(name)) if Path(name).is_file() else CODEC
    if form == CODEC:
        codec_file(name)  # what is missing is told before torch is loaded
    from semcomp.codec.codec import load
    from semcomp.generative.generator_file import FORMAT as GENERATOR
    from semcomp.generative.generator_file import load_generator
    from semcomp.lossless.model import FORMAT as LOSSLESS
    from semcomp.lossless.weights import load_weights
    from semcomp.restoration.restorer_file import FORMAT as RESTORER
    from semcomp.restoration.restorer_file import read_restorer_file
    from semcomp.semantics.head import load_head

    if form == CODEC:
        return {"kind": "codec", **load(name).describe()}
    if form == GENERATOR:
        return generator_facts(load_generator(name))
    if form == RESTORER:
        return restorer_facts(read_restorer_file(name), name=Path(name).stem)
    if form == LOSSLESS:
        return lossless_facts(load_weights(name), name=Path(name).stem)
    return head_facts(load_head(name))


def _list_graphs(options: Namespace) -> int:
    """List what a folder of graphs holds; returns the exit code."""
    from semcomp.edge.client import EdgeCodec
    from semcomp.lossless import weights as lossless

    if options.names:
        raise UsageError("graphs are one codec: leave out the names, or do without --graphs where torch is installed")
    codec = EdgeCodec(options.graphs)
    _show({"kind": "codec", **codec.describe()}, options)
    for head in codec.heads.values():
        _show(head_facts(head), options)
    for made in codec.generators.values():
        ids = {"generator_id": made.generator_id.hex(), "entropy_id": made.entropy_id.hex()}
        _show({"kind": "generator", "name": made.name, **ids, "classes": list(made.classes)}, options)
    if exact := codec.bundle.manifest.get("lossless"):
        _show({"kind": "lossless", "name": lossless.NAME, "lossless_id": exact["id"]}, options)
    return EXIT_OK


def head_facts(head: Head) -> dict[str, Any]:
    """What a head knows about itself."""
    return {
        "kind": "head",
        "name": head.name,
        "task": head.task,
        "experimental": head.limits.experimental,
        "entropy_id": head.entropy_id.hex(),
        "classes": list(head.classes),
        "origin": head.origin,
        "limits": head.limits.measured,
    }


def generator_facts(made: TrainedGenerator) -> dict[str, Any]:
    """What a generator knows about itself."""
    from semcomp.generative.network import kmac_per_pixel

    return {
        "kind": "generator",
        "name": made.name,
        "generator_id": made.generator_id.hex(),
        "entropy_id": made.info.entropy_id,
        "kmac_per_px": round(kmac_per_pixel(made.network.config), 2),
        "classes": list(made.info.classes),
        "origin": made.info.origin,
    }


def restorer_facts(restorer: TrainedRestorer, *, name: str | None = None) -> dict[str, Any]:
    """What a restorer knows about itself. Without a name it is the one of the package."""
    from semcomp.restoration.restorer_file import DEFAULTS

    return {
        "kind": "restorer",
        "name": name or DEFAULTS[restorer.codec],
        "restores": restorer.codec,
        "restorer_id": restorer.restorer_id.hex(),
        "parameters": sum(value.numel() for value in restorer.state.values()),
        "origin": restorer.origin,
    }


def lossless_facts(model: LosslessModel, *, name: str) -> dict[str, Any]:
    """What the lossless networks know about themselves."""
    return {
        "kind": "lossless",
        "name": name,
        "lossless_id": model.id.hex(),
        "parameters": model.parameters,
        "kmac_per_px": round(model.kmac_per_pixel, 2),
        "origin": model.origin,
    }


def _show(facts: dict[str, Any], options: Namespace) -> None:
    if options.json:
        say_json({"command": "models", **facts})
    elif not options.quiet:
        say(describe(facts))


def describe(facts: dict[str, Any]) -> list[str]:
    """Describe weights in a few lines for a person."""
    lines = [str(facts["name"])]
    for key, value in facts.items():
        if isinstance(value, list):
            value = ", ".join(value)
        if isinstance(value, dict):
            value = ", ".join(f"{part} {_number(entry)}" for part, entry in value.items())
        if key != "name":
            lines.append(f"  {key.replace('_', ' '):<20}{_number(value)}")
    return lines


def _number(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.2f}" if isinstance(value, float) else value.hex() if isinstance(value, bytes) else str(value)
