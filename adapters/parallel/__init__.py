"""Strategies of training in several processes: one file each.

A file declares

- `check(spec)`: raises HextuneError where its package is missing;
- `arguments(request)`: keyword arguments of any TrainingArguments class that turn it on;
- `wraps(trainer)`: whether the prepared model is what the strategy says it is.
"""

from importlib import import_module
from types import ModuleType


def strategy_of(name: str) -> ModuleType:
    """The file of a strategy."""
    return import_module(f"adapters.parallel.{name}")
