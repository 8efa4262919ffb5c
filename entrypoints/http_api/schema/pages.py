"""Pages of lists by cursor: `after` names the last item that was seen."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from domain.errors import HextuneError
from entrypoints.http_api.schema.values import bad

T = TypeVar("T")
Page = tuple[Sequence[T], bool]
"""(items, whether more follow)."""


class Query(BaseModel):
    """Parameters of a list; others are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PageQuery(Query):
    """A page of a list."""

    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 20


class FileQuery(Query):
    """A page of files."""

    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=10000)] = 10000
    order: Literal["asc", "desc"] = "desc"
    purpose: str | None = None


class EventQuery(PageQuery):
    """A page of events, or all of them as they happen."""

    stream: bool = False


def page(items: Sequence[T], id_of: Callable[[T], str], after: str | None, limit: int) -> Page[T]:
    """The page after an item. Raises HextuneError where it is not in the list."""
    start = 0
    if after is not None:
        ids = [id_of(item) for item in items]
        if after not in ids:
            raise HextuneError([bad("after", "nothing in this list has that id")])
        start = ids.index(after) + 1
    end = start + limit
    return items[start:end], end < len(items)


def list_reply(
    replies: Sequence[Mapping[str, object]], has_more: bool, no_id: str | None = None
) -> Mapping[str, object]:
    """A page as OpenAI's API shows it; `no_id` stands for the ids of an empty one."""
    ids = [reply["id"] for reply in replies]
    return {
        "object": "list",
        "data": list(replies),
        "has_more": has_more,
        "first_id": ids[0] if ids else no_id,
        "last_id": ids[-1] if ids else no_id,
    }
