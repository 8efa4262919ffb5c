"""Supervised fine-tuning: cross entropy on completions, through TRL's SFTTrainer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from domain.dataset import DatasetKind
from domain.masking import EncodedRow
from domain.prepared import EncodedStream, PreparedData
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
    if data.stream is not None:
        rows = _streamed(data.stream, packed=packs is not None)
    else:
        rows = _dataset(data.train) if packs is None else _packed(data.train, packs)
    return SFTTrainer(
        model=network,
        args=SFTConfig(
            **arguments,
            max_length=None,
            packing=False,
            padding_free=packs is not None,
            pad_to_multiple_of=None,
        ),
        train_dataset=rows,
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
    """Packs as one sequence each."""
    from datasets import Dataset

    return Dataset.from_list([_sequence([rows[number] for number in pack]) for pack in packs])


def _streamed(stream: EncodedStream, *, packed: bool) -> Any:
    """The stream's sequences, made while the trainer asks for them."""
    from datasets import Features, IterableDataset, List, Value

    columns = ("input_ids", "labels", "seq_lengths") if packed else ("input_ids", "labels")

    def sequences() -> Iterator[dict[str, list[int]]]:
        for rows in stream:
            whole = _sequence(rows)
            yield {name: whole[name] for name in columns}

    features = Features({name: List(Value("int64")) for name in columns})
    return IterableDataset.from_generator(sequences, features=features)


def _sequence(rows: Sequence[EncodedRow]) -> dict[str, list[int]]:
    """Rows as one sequence; `seq_lengths` tells the collator where positions start anew."""
    return {
        "input_ids": [token for row in rows for token in row.input_ids],
        "labels": [label for row in rows for label in row.labels],
        "seq_lengths": [len(row.input_ids) for row in rows],
    }
