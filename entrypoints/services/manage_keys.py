"""Keys: made, listed and removed, and asked by the network doors whether a request may pass."""

import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from domain.access import AccessKey, Scope, digest_of, key_of
from domain.errors import fail
from ports.access import KeyStore
from ports.surroundings import Surroundings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PREFIX = "ht-"
"""Begins every key, so that one left in a log or a commit can be found."""
ENTROPY_BYTES = 32


@dataclass(frozen=True, slots=True)
class ManageKeys:
    """Keys of one folder of runs."""

    keys: KeyStore
    surroundings: Surroundings

    def add(self, name: str, scopes: str) -> str:
        """The text of a new key, which is shown this once. Raises HextuneError for bad input."""
        known = self.keys.all()
        if not NAME.fullmatch(name):
            raise fail("key-name-unfit", name=name)
        if name in {key.name for key in known}:
            raise fail("key-known", name=name)
        text = PREFIX + secrets.token_urlsafe(ENTROPY_BYTES)
        made = AccessKey(
            name=name,
            scopes=scopes_of(scopes),
            digest=digest_of(text),
            created_at=self.surroundings.now(),
        )
        self.keys.save([*known, made])
        return text

    def all(self) -> Sequence[AccessKey]:
        """Every key."""
        return self.keys.all()

    def remove(self, name: str) -> None:
        """Take a key's rights away at once. Raises HextuneError where there is none."""
        known = self.keys.all()
        kept = [key for key in known if key.name != name]
        if len(kept) == len(known):
            raise fail("key-missing", name=name)
        self.keys.save(kept)


@dataclass(frozen=True, slots=True)
class Admit:
    """Decides who passes a network door."""

    keys: KeyStore
    master: str | None = None
    """The key given on the command line, which may do everything."""

    @property
    def closed(self) -> bool:
        """Whether there is any key, so that none passes without one."""
        return bool(self.master or self.keys.all())

    def __call__(self, text: str, wanted: Collection[Scope]) -> None:
        """Raises HextuneError unless the key `text` has one of the scopes wanted, or admin."""
        known = list(self.keys.all())
        if self.master:
            everything = frozenset({Scope.ADMIN})
            digest = digest_of(self.master)
            known += [AccessKey(name="--api-key", scopes=everything, digest=digest, created_at=0.0)]
        key = key_of(text, known)
        if key is None:
            raise fail("access-denied")
        if not key.allows(wanted):
            shown = ", ".join(sorted(key.scopes))
            needed = sorted(wanted)[0] if wanted else Scope.ADMIN
            raise fail("access-scope", name=key.name, scopes=shown, needed=needed)


def scopes_of(text: str) -> frozenset[Scope]:
    """Scopes out of `infer,train`. Raises HextuneError for one that is not known."""
    names = [name.strip() for name in text.split(",")]
    known = [scope.value for scope in Scope]
    for name in names:
        if name not in known:
            raise fail("key-scope-unknown", scope=name, known=", ".join(known))
    return frozenset(map(Scope, names))
