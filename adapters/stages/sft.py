"""Supervised fine-tuning: cross entropy on completions, through TRL's SFTTrainer."""

from typing import Any

from domain.dataset import DatasetKind
from domain.section import section
from domain.stage import TrainingStage

STAGE = TrainingStage(
    name="sft",
    title="supervised fine-tuning",
    eats=DatasetKind.CONVERSATION,
    yields="chat_model",
    follows=frozenset({"pretrain", "sft"}),
)


@section
class Options:
    """Stage sft has no options of its own."""
