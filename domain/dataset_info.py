"""LLaMA-Factory's dataset_info.json entries as our data sources.

Every key of theirs has its place here, or is named in the notes of the conversion.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COLUMNS = {
    "prompt": "prompt",
    "query": "query",
    "response": "response",
    "history": "history",
    "messages": "messages",
    "system": "system",
    "tools": "tools",
    "images": "images",
    "videos": "videos",
    "audios": "audios",
    "chosen": "chosen",
    "rejected": "rejected",
    "kto_tag": "kto_tag",
}
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "observation",
    "function_tag": "function",
    "system_tag": "system",
}
PLAIN = ("subset", "split", "folder", "num_samples", "ranking")
OTHER_HUBS = {"ms_hub_url": "ModelScope", "om_hub_url": "OpenMind"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One entry, converted."""

    source: Mapping[str, Any]
    """The keys of a data source."""
    notes: tuple[str, ...]
    """What could not be taken over as it was."""


def import_entry(entry: Mapping[str, Any], folder: str) -> Imported:
    """The data source of an entry whose files lie in `folder`."""
    notes: list[str] = []
    source: dict[str, Any] = _origin(entry, folder, notes)
    columns = dict(entry.get("columns", {}))
    source["format"] = _format(entry, columns)
    for key in PLAIN:
        if key in entry:
            source[key] = entry[key]
    if "num_samples" in entry:
        source["sample"] = "random"
    if source["format"] == "text":
        source["columns"] = {"text": columns.pop("prompt", "text")}
    else:
        source["columns"] = {
            COLUMNS[key]: columns.pop(key) for key in list(columns) if key in COLUMNS
        }
    tags = dict(entry.get("tags", {}))
    source["tags"] = {TAGS[key]: tags.pop(key) for key in list(tags) if key in TAGS}
    notes += [f"columns.{key} is unknown" for key in columns]
    notes += [f"tags.{key} is unknown" for key in tags]
    return Imported(
        source={key: value for key, value in source.items() if value not in ({}, False)},
        notes=tuple(notes),
    )


def _origin(entry: Mapping[str, Any], folder: str, notes: list[str]) -> dict[str, Any]:
    """Where the rows are, in their order of precedence."""
    for key, hub in OTHER_HUBS.items():
        if key in entry and "hf_hub_url" not in entry:
            notes.append(f"{key}: {hub} is not a hub Hextune reads; the same name is tried")
    for key in ("hf_hub_url", *OTHER_HUBS):
        if key in entry:
            return {"hub": entry[key]}
    if "script_url" in entry:
        return {"path": _script(str(entry["script_url"]), folder, notes)}
    if "cloud_file_name" in entry:
        return {"path": entry["cloud_file_name"]}
    return {"path": f"{folder}/{entry.get('file_name', '')}"}


def _script(script: str, folder: str, notes: list[str]) -> str:
    """The path of a loading script; a folder holds the script of its own name, as `datasets` says.

    Trusting a script is left to whoever reads it.
    """
    if "://" in script:
        notes.append(f"script_url: scripts are not fetched; store {script} and name it in path")
        return script
    script = script.strip("/")
    name = script.rpartition("/")[2]
    path = f"{folder}/{script}" if name.endswith(".py") else f"{folder}/{script}/{name}.py"
    notes.append(f"script_url: read {path}, then set trust_script to true to have it run")
    return path


def _format(entry: Mapping[str, Any], columns: Mapping[str, Any]) -> str:
    """Their alpaca entries that name a prompt and no answer are plain text."""
    formatting = str(entry.get("formatting", "alpaca"))
    only_text = formatting == "alpaca" and set(columns) == {"prompt"} and not entry.get("ranking")
    return "text" if only_text else formatting
