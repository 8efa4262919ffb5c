"""Sections of a run spec: frozen dataclasses whose fields carry their own documentation and limits.

The decorator says one thing once: a section is immutable, takes keyword arguments only and
refuses unknown keys. The edge that reads spec files honours `__pydantic_config__` and the limits;
the domain itself imports no validator.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")

STRICT: Mapping[str, object] = {
    "extra": "forbid",
    "use_attribute_docstrings": True,
    "allow_inf_nan": False,  # a content hash is taken of JSON, which has neither
}


PARTS = "parts"
"""Metadata of a field that holds a list of parts: the kind of them."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def section(cls: type[T]) -> type[T]:
    """Make `cls` a section: frozen, slotted, keyword-only, closed to unknown keys."""
    made = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    made.__pydantic_config__ = dict(STRICT)  # type: ignore[attr-defined]
    return made


def limited(
    default: Any,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """A field with a default and numeric limits (`ge` means at least, `lt` means below)."""
    limits = {"ge": ge, "gt": gt, "le": le, "lt": lt}
    return field(default=default, metadata={k: v for k, v in limits.items() if v is not None})


def built(factory: Callable[[], T]) -> T:
    """A field whose default is built afresh, such as a nested section."""
    made: T = field(default_factory=factory)
    return made


def parts(kind: str) -> Any:
    """A list of named parts of the catalogue, such as `[{name: jsonl}, ...]`; none by default.

    Each is a mapping of its name and of its options, all of them filled in. Annotate the field
    with `tuple[Mapping[str, Json], ...]`.
    """
    return field(default=(), metadata={PARTS: kind})


def options_of(cls: type[T], values: Mapping[str, Any]) -> T:
    """The section `cls` filled with values a spec reader has checked; JSON lists become tuples."""
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
