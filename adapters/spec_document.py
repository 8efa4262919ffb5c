"""The run spec as a validator sees it: named parts become a union told apart by their name.

`document_adapter` puts the chosen parts' own `Options` where RunSpec has a `Choice`, so that one
validation checks every key of a spec, and one JSON Schema describes it.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, field, fields, make_dataclass
from typing import Annotated, Any, Literal, Optional, Union, get_type_hints

from pydantic import Discriminator, TypeAdapter

from adapters.attribute_docs import attribute_docs
from domain.run_spec import CHOICES, Choice, RunSpec
from domain.section import PARTS, STRICT
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


Listed = Mapping[str, Sequence[str | None] | None]
"""Dotted key of a list of parts to the name of each; None for a name that is not known, and in
place of all for what is no list. A key that is missing stands for any parts."""


def document_adapter(
    catalog: Catalog, names: Mapping[str, Sequence[str]], listed: Listed
) -> TypeAdapter[Any]:
    """A validator for specs whose choices are among `names` (key to part names)."""
    made = [
        _choice_field(catalog, part, names[part.name], listed)
        if part.name in CHOICES
        else (part.name, _section_type(catalog, part, listed), _like(part, RunSpec))
        for part in fields(RunSpec)
    ]
    return TypeAdapter(_strict("RunSpec", made, RunSpec.__doc__, "Hextune run spec"))


def lists_of_parts(
    catalog: Catalog, names: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """(dotted key, kind) of every list of parts in the sections and in the chosen options."""
    for part in fields(RunSpec):
        owners: list[Any] = [part.type]
        if part.name in CHOICES:
            owners = [catalog.part(CHOICES[part.name], name).Options for name in names[part.name]]
        for owner in filter(dataclasses.is_dataclass, owners):
            for inner in fields(owner):
                if PARTS in inner.metadata:
                    yield f"{part.name}.{inner.name}", inner.metadata[PARTS]


def to_spec(document: Any) -> RunSpec:
    """The domain's spec of a validated document."""
    values = {part.name: getattr(document, part.name) for part in fields(RunSpec)}
    for key in CHOICES:
        if values[key] is not None:
            options = dataclasses.asdict(values[key])
            values[key] = Choice(options.pop("name"), options)
    for part in fields(RunSpec):
        if part.name not in CHOICES and _holds_parts(part.type):
            values[part.name] = _section(part.type, values[part.name])
    return RunSpec(**values)


def _section(owner: Any, read: Any) -> Any:
    """The domain's section of a validated one, each part in its lists as a mapping."""
    values = {part.name: getattr(read, part.name) for part in fields(owner)}
    for part in fields(owner):
        if PARTS in part.metadata:
            values[part.name] = tuple(dataclasses.asdict(each) for each in values[part.name])
    return owner(**values)


def _holds_parts(owner: Any) -> bool:
    return dataclasses.is_dataclass(owner) and any(PARTS in f.metadata for f in fields(owner))


def _section_type(catalog: Catalog, part: "Field[Any]", listed: Listed) -> Any:
    """The type of a section, its lists of parts being those of their options."""
    owner: Any = part.type
    if not _holds_parts(owner):
        return owner
    return _strict(
        owner.__name__, _option_fields(catalog, owner, part.name, listed), owner.__doc__, None
    )


def _option_fields(catalog: Catalog, owner: Any, path: str, listed: Listed) -> list[Any]:
    hints = {part.name: part.type for part in fields(owner)}
    if any(isinstance(hint, str) for hint in hints.values()):
        hints = get_type_hints(owner)
    return [
        (
            part.name,
            _list_type(catalog, part.metadata[PARTS], f"{path}.{part.name}", listed)
            if PARTS in part.metadata
            else hints[part.name],
            _like(part, owner),
        )
        for part in fields(owner)
    ]


def _list_type(catalog: Catalog, kind: str, path: str, listed: Listed) -> Any:
    """A tuple of parts: of those that are named, or of any where nothing is said of them."""
    if path not in listed:
        types = [_named_options(catalog, kind, name, path, listed) for name in catalog.names(kind)]
        if len(types) == 1:
            return tuple[types[0], ...]  # type: ignore[valid-type]
        each: Any = Annotated[Union[tuple(types)], Discriminator("name")]  # noqa: UP007
        return tuple[each, ...]
    names = listed[path]
    if names is None:
        return tuple[Mapping[str, Any], ...]
    return tuple[  # type: ignore[misc]
        tuple(
            _named_options(catalog, kind, name, path, listed) if name is not None else Any
            for name in names
        )
    ]


def _strict(name: str, made: Sequence[Any], doc: str | None, title: str | None) -> Any:
    cls: Any = make_dataclass(name, made, kw_only=True, frozen=True)
    closed = {key: STRICT[key] for key in ("extra", "allow_inf_nan")}
    cls.__pydantic_config__ = {**closed, **({"title": title} if title else {})}
    cls.__doc__ = doc
    return cls


def _like(part: "Field[Any]", owner: type) -> Any:
    """A field as `part`, described by its docstring; a section that needs no key is optional."""
    metadata = {**part.metadata, "description": attribute_docs(owner).get(part.name)}
    metadata.pop(PARTS, None)
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
    catalog: Catalog, part: "Field[Any]", names: Sequence[str], listed: Listed
) -> tuple[str, Any, Any]:
    """The field of a choice: one part's options, or a union of several told apart by name."""
    kind = CHOICES[part.name]
    types = {name: _named_options(catalog, kind, name, part.name, listed) for name in names}
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


def _named_options(catalog: Catalog, kind: str, name: str, path: str, listed: Listed) -> Any:
    """The `Options` of a part, with its name as the first key; `path` is where they stand."""
    options = catalog.part(kind, name).Options
    label = field(default=name, metadata={"description": catalog.summary(kind, name)})
    made = [("name", Literal[name], label), *_option_fields(catalog, options, path, listed)]
    return _strict(f"{kind}_{name}", made, options.__doc__, f"{kind}: {name}")
