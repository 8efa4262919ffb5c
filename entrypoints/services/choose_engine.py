"""Choose what answers: an engine by name over models found here, or a server elsewhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.errors import fail
from entrypoints.services.resolve_model import ResolveModel
from ports.catalog import Catalog
from ports.inference import InferenceBackend

REMOTE = "remote"
"""The engine that is an address."""


@dataclass(frozen=True, slots=True)
class ChooseEngine:
    """Finds everything an engine needs, before anything is loaded."""

    catalog: Catalog
    resolve: ResolveModel
    open_engine: Callable[..., InferenceBackend]
    open_remote: Callable[[str, str], InferenceBackend]

    def __call__(
        self, names: Sequence[str], engine: str, url: str | None = None
    ) -> Callable[[], InferenceBackend]:
        """What opens `engine` for these models, the first being the default.

        Raises HextuneError for an engine or a model that is not there, and for an address without
        the engine that takes one.
        """
        self.catalog.summary("engines", engine)
        if (engine == REMOTE) is (url is None):
            raise fail("engine-needs-url")
        if url is not None:
            first, *others = names
            if others:
                raise fail("engine-cannot", name=first, what="answer as several models")
            return lambda: self.open_remote(url, first)
        resolved = self.resolve.together(names)
        return lambda: self.open_engine(resolved, engine=engine)
