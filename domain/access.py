"""Who may do what: keys, each with scopes. A key's text is never kept, only its SHA-256.

Keys are 256 random bits, so that a plain sum cannot be searched for; slow hashes are for words
that people choose.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    """Look at models, files, jobs and figures."""
    INFER = "infer"
    """Ask models."""
    TRAIN = "train"
    """Keep files, and start, stop and delete what is trained."""
    ADMIN = "admin"
    """Everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """A key on record."""

    name: str
    """Whose it is, for people."""
    scopes: frozenset[Scope]
    """What it may do."""
    digest: str
    """SHA-256 of its text: 64 hexadecimal digits."""
    created_at: float
    """When it was made, in seconds since the epoch."""

    def allows(self, wanted: Iterable[Scope]) -> bool:
        """Whether one of its scopes is among those wanted; admin always is."""
        return Scope.ADMIN in self.scopes or not self.scopes.isdisjoint(wanted)


def digest_of(text: str) -> str:
    """What is kept of a key."""
    return sha256(text.encode()).hexdigest()


def key_of(text: str, keys: Iterable[AccessKey]) -> AccessKey | None:
    """The key with that text; every one is compared in constant time."""
    digest = digest_of(text)
    found = [key for key in keys if compare_digest(key.digest, digest)]
    return found[0] if found else None
