"""Pre-training: cross entropy on every token of documents, packed into full sequences."""

from adapters.stages.sft import build_trainer, check
from domain.dataset import DatasetKind
from domain.section import section
from domain.stage import TrainingStage

__all__ = ["STAGE", "Options", "build_trainer", "check"]

STAGE = TrainingStage(
    name="pretrain",
    title="pre-training",
    eats=DatasetKind.TEXT,
    yields="base_model",
    follows=frozenset({"pretrain"}),
)


@section
class Options:
    """Stage pretrain has no options of its own."""
