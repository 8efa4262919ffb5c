"""Supervised fine-tuning: cross entropy on completions, through TRL's SFTTrainer."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.dataset import DatasetKind
from domain.masking import EncodedRow
from domain.prepared import PreparedData
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


def build_trainer(
    network: Any,
    tokenizer: Any,
    data: PreparedData,
    arguments: Mapping[str, Any],
    callbacks: list[Any],
) -> Any:
    """A trainer over rows that are final: nothing is cut, packed or masked."""
    from trl import SFTConfig, SFTTrainer

    return SFTTrainer(
        model=network,
        args=SFTConfig(**arguments, max_length=None, packing=False, pad_to_multiple_of=None),
        train_dataset=_dataset(data.train),
        eval_dataset=_dataset(data.eval) if data.eval else None,
        processing_class=tokenizer,
        callbacks=callbacks,
    )


def _dataset(rows: Sequence[EncodedRow]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "input_ids": [list(row.input_ids) for row in rows],
            "labels": [list(row.labels) for row in rows],
        }
    )
