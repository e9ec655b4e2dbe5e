"""`semcomp push`: weights to a hub, with a card that is written from what they know about themselves."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from semcomp.cli.exit_codes import EXIT_OK, UsageError
from semcomp.cli.failures import check_readable, concerning
from semcomp.cli.shared_options import NewParser, SharedOptions
from semcomp.cli.terminal import say, say_json
from semcomp.errors import ModelError

_EPILOG = """\
examples:
  semcomp push my_head.safetensors org/dogs --license apache-2.0
  semcomp push my_head.safetensors org/dogs --show-card > card.md      nothing is uploaded

The token comes from HF_TOKEN or from `hf auth login`. Others then load the weights by name and commit:
  semcomp.load_head("org/dogs@COMMIT")    semcomp classify photos/ --head org/dogs@COMMIT
"""
_NOT_ON_HUBS = {"restorer": "is a restorer, which is", "lossless": "has lossless networks, which are"}
"""What a file is, by its kind, if no command loads it from a hub."""


def add_parser(new_parser: NewParser, shared: SharedOptions) -> None:
    """Add the command and its options."""
    parser = new_parser(
        parents=[shared.output],
        epilog=_EPILOG,
        description="Upload a codec, a head or a generator with its card and the hashes of its files.",
    )
    parser.add_argument("weights", metavar="FILE", help="a .safetensors file, or the name of weights in the package")
    parser.add_argument("repository", metavar="ORG/NAME", help="repository on the hub; it is created if it is missing")
    parser.add_argument("--license", metavar="ID", help="licence of the weights, such as apache-2.0, for the card")
    parser.add_argument("--about", metavar="MD", help="text that the card ends with (NAME.md beside the weights)")
    parser.add_argument("--message", metavar="TEXT", help="subject of the commit")
    parser.add_argument("--private", action="store_true", help="create the repository as a private one")
    parser.add_argument("--show-card", action="store_true", help="print the card and upload nothing")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Upload the weights; returns the exit code."""
    from semcomp.cli.commands.models import facts_of_file
    from semcomp.weights.card import card_of
    from semcomp.weights.hub import hub_name, push

    check_readable(options.about, what="the text")
    wanted = hub_name(options.repository)
    if wanted is None or wanted.revision is not None:
        raise UsageError(f"{options.repository!r} is not a repository: write org/name")
    path = _file_of(options.weights)
    about = Path(options.about) if options.about else path.with_suffix(".md")
    with concerning(str(about), what="the text"):
        more = about.read_text(encoding="utf-8") if about.is_file() else ""
    facts = facts_of_file(path)
    if what := _NOT_ON_HUBS.get(facts["kind"]):
        raise ModelError(f"{path} {what} not loaded from a hub: push a codec, a head or a generator")
    card = card_of(facts, repository=options.repository, licence=options.license, more=more)
    if options.show_card:
        say(card.splitlines())
        return EXIT_OK
    ids = {key: value for key, value in facts.items() if key.endswith("_id")}
    done = push(
        path,
        options.repository,
        card=card,
        kind=str(facts["kind"]),
        ids=ids,
        private=options.private,
        message=options.message,
    )
    if options.json:
        say_json({"command": "push", "ok": True, "weights": str(path), "commit": done.commit, "name": done.pinned})
    elif not options.quiet:
        say(f"{path.name} -> {done.pinned}")
    return EXIT_OK


def _file_of(name: str) -> Path:
    from semcomp.weights.files import WEIGHTS

    found = [path for path in (Path(name), WEIGHTS / f"{name}.safetensors") if path.is_file()]
    if not found:
        raise ModelError(f"no weights called {name}: give a .safetensors file")
    return found[0]
