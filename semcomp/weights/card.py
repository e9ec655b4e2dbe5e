"""The card of weights on a hub, written from what the weights know about themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TASKS = {"classify": "image-classification", "segment": "image-segmentation"}
"""Maps a head's task to the hub's word for it."""
_LOADERS = {
    "codec": 'codec = semcomp.load("{name}")\ndata = codec.encode("photo.jpg")',
    "head": 'head = semcomp.load_head("{name}")\nhead(semcomp.load().latents("photo.semc"))',
    "generator": 'image = semcomp.load().decode("photo.semc", generator="{name}")',
}


def card_of(facts: Mapping[str, Any], *, repository: str, licence: str | None = None, more: str = "") -> str:
    """Write the card of weights in Markdown.

    Args:
        facts: What `semcomp models` says about the weights: "kind", "name", ids, "classes", "origin", "limits".
        repository: "org/name" on the hub.
        licence: Identifier of the licence of the weights, such as "apache-2.0".
        more: Text in Markdown that follows, such as the data and the figures.

    Example:
        >>> card = card_of({"kind": "head", "name": "dogs", "task": "classify"}, repository="org/dogs")
        >>> "pipeline_tag: image-classification" in card, 'semcomp.load_head("org/dogs@COMMIT")' in card
        (True, True)
    """
    kind, name = str(facts["kind"]), str(facts["name"])
    head = ["---", "library_name: semcomp", f"tags: [semcomp, {kind}]"]
    head += [f"license: {licence}"] if licence else []
    head += [f"pipeline_tag: {_TASKS[facts['task']]}"] if facts.get("task") in _TASKS else []
    lines = [*head, "---", "", f"# {name}", ""]
    if facts.get("experimental"):
        lines += ["**Experimental: this head is often wrong.**", ""]
    lines += ["```python", "import semcomp", "", _LOADERS[kind].format(name=f"{repository}@COMMIT"), "```", ""]
    lines += ["Replace COMMIT by a commit of this repository: then nobody can change what your program loads.", ""]
    lines += ["| | |", "|---|---|"]
    for key, value in facts.items():
        if key not in ("name", "origin", "task", "experimental") and value not in (None, "", [], {}):
            lines.append(f"| {key.replace('_', ' ')} | {_cell(value)} |")
    lines.append("")
    if facts.get("origin"):
        lines += ["## Origin", "", str(facts["origin"]).strip(), ""]
    if more.strip():
        lines += ["## More", "", more.strip(), ""]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        text = ", ".join(f"{key} {_cell(entry)}" for key, entry in value.items())
    elif isinstance(value, list | tuple):
        text = ", ".join(map(str, value))
    else:
        text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
