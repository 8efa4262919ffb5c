"""Answers of another OpenAI-compatible server, asked over HTTP with the key of OPENAI_API_KEY.

It is opened by an address and not by a model on disk: see `adapters.remote_engine`.
"""

from domain.errors import fail
from domain.hardware import Hardware
from domain.model_handle import ResolvedModel


class Engine:
    """There is none without an address."""

    def __init__(self, resolved: ResolvedModel, hardware: Hardware) -> None:
        raise fail("engine-needs-url")
