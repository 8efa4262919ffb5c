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

    packs = data.packs
    return SFTTrainer(
        model=network,
        args=SFTConfig(
            **arguments,
            max_length=None,
            packing=False,
            padding_free=packs is not None,
            pad_to_multiple_of=None,
        ),
        train_dataset=_dataset(data.train) if packs is None else _packed(data.train, packs),
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


def _packed(rows: Sequence[EncodedRow], packs: Sequence[Sequence[int]]) -> Any:
    """Packs as one sequence each; `seq_lengths` tells the collator where positions start anew."""
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "input_ids": [[i for n in pack for i in rows[n].input_ids] for pack in packs],
            "labels": [[i for n in pack for i in rows[n].labels] for pack in packs],
            "seq_lengths": [[len(rows[n].input_ids) for n in pack] for pack in packs],
        }
    )
