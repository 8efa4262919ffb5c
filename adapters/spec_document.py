"""The run spec as a validator sees it: named parts become a union told apart by their name.

`document_adapter` puts the chosen parts' own `Options` where RunSpec has a `Choice`, so that one
validation checks every key of a spec, and one JSON Schema describes it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, field, fields, make_dataclass
from typing import Annotated, Any, Literal, Optional, Union, get_type_hints

from pydantic import Discriminator, TypeAdapter

from adapters.attribute_docs import attribute_docs
from domain.run_spec import CHOICES, Choice, RunSpec
from domain.section import STRICT
from ports.catalog import Catalog

DEFAULT_NAMES: Mapping[str, str | None] = {
    "stage": "sft",
    "method": "lora",
    "quantization": None,
    "optimizer": "adamw",
}
"""The part taken where a spec does not choose."""
NAMELESS: Mapping[str, str] = {"quantization": "bitsandbytes"}
"""The part meant by a section without a name, where there is none by default."""


def document_adapter(catalog: Catalog, names: Mapping[str, Sequence[str]]) -> TypeAdapter[Any]:
    """A validator for specs whose choices are among `names` (key to part names)."""
    made = [
        _choice_field(catalog, part, names[part.name])
        if part.name in CHOICES
        else (part.name, part.type, _like(part, RunSpec))
        for part in fields(RunSpec)
    ]
    return TypeAdapter(_strict("RunSpec", made, RunSpec.__doc__, "Hextune run spec"))


def to_spec(document: Any) -> RunSpec:
    """The domain's spec of a validated document."""
    values = {part.name: getattr(document, part.name) for part in fields(RunSpec)}
    for key in CHOICES:
        if values[key] is not None:
            options = dataclasses.asdict(values[key])
            values[key] = Choice(options.pop("name"), options)
    return RunSpec(**values)


def _strict(name: str, made: Sequence[Any], doc: str | None, title: str) -> Any:
    cls: Any = make_dataclass(name, made, kw_only=True, frozen=True)
    closed = {key: STRICT[key] for key in ("extra", "allow_inf_nan")}
    cls.__pydantic_config__ = {**closed, "title": title}
    cls.__doc__ = doc
    return cls


def _like(part: "Field[Any]", owner: type) -> Any:
    """A field as `part`, described by its docstring; a section that needs no key is optional."""
    metadata = {**part.metadata, "description": attribute_docs(owner).get(part.name)}
    if part.default is not MISSING:
        return field(default=part.default, metadata=metadata)
    if part.default_factory is not MISSING:
        return field(default_factory=part.default_factory, metadata=metadata)
    if (
        dataclasses.is_dataclass(part.type)
        and isinstance(part.type, type)
        and not _needs(part.type)
    ):
        return field(default_factory=part.type, metadata=metadata)
    return field(metadata=metadata)


def _needs(section: Any) -> bool:
    """Whether any key of `section` must be given."""
    return any(
        part.default is MISSING and part.default_factory is MISSING for part in fields(section)
    )


def _choice_field(
    catalog: Catalog, part: "Field[Any]", names: Sequence[str]
) -> tuple[str, Any, Any]:
    """The field of a choice: one part's options, or a union of several told apart by name."""
    types = {name: _named_options(catalog, CHOICES[part.name], name) for name in names}
    one = len(types) == 1
    union: Any = (
        next(iter(types.values()))
        if one
        else Annotated[Union[tuple(types.values())], Discriminator("name")]  # noqa: UP007
    )
    metadata = {"description": attribute_docs(RunSpec).get(part.name)}
    default = DEFAULT_NAMES[part.name]
    if default is None:
        return part.name, Optional[union], field(default=None, metadata=metadata)  # noqa: UP045
    if default in types:
        return part.name, union, field(default_factory=types[default], metadata=metadata)
    return part.name, union, field(metadata=metadata)


def _named_options(catalog: Catalog, kind: str, name: str) -> Any:
    """The `Options` of a part, with its name as the first key."""
    options = catalog.part(kind, name).Options
    hints = get_type_hints(options)
    label = field(default=name, metadata={"description": catalog.summary(kind, name)})
    made = [("name", Literal[name], label)]
    made += [(part.name, hints[part.name], _like(part, options)) for part in fields(options)]
    return _strict(f"{kind}_{name}", made, options.__doc__, f"{kind}: {name}")
