"""Supervised fine-tuning: cross entropy on completions, through TRL's SFTTrainer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adapters.held_out import evaluation_sets
from adapters.models.media_inputs import MediaCollator
from adapters.stages import Parts
from domain.dataset import DatasetKind
from domain.errors import fail
from domain.fingerprint import Json
from domain.masking import EncodedRow
from domain.prepared import EncodedStream
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


def check(values: Mapping[str, Json]) -> None:
    """No options contradict each other."""


def build_trainer(parts: Parts) -> Any:
    """A trainer over rows that are final: nothing is cut, packed or masked."""
    from transformers import ProcessorMixin
    from trl import SFTConfig

    from adapters.sft_trainer import SftTrainer

    data, tokenizer = parts.data, parts.tokenizer
    packs = data.packs
    shows = isinstance(tokenizer, ProcessorMixin) and packs is None
    if data.stream is not None:
        rows = _streamed(data.stream, packed=packs is not None, media=shows)
    else:
        rows = _dataset(data.train, shows) if packs is None else _packed(data.train, packs)
    return SftTrainer(
        model=parts.network,
        args=SFTConfig(
            **parts.arguments,
            max_length=None,
            packing=False,
            padding_free=packs is not None,
            pad_to_multiple_of=None,
            router_aux_loss_coef=parts.router_aux_loss,
            remove_unused_columns=not shows,
            dataset_kwargs={"skip_prepare_dataset": True} if shows else None,
        ),
        data_collator=MediaCollator(tokenizer) if shows else None,
        train_dataset=rows,
        eval_dataset=evaluation_sets(data.eval, lambda rows: _dataset(rows, shows)),
        processing_class=tokenizer,
        callbacks=list(parts.callbacks),
    )


def _dataset(rows: Sequence[EncodedRow], media: bool) -> Any:
    from datasets import Dataset

    columns: dict[str, Any] = {
        "input_ids": [list(row.input_ids) for row in rows],
        "labels": [list(row.labels) for row in rows],
    }
    if media:
        columns["media"] = [_media(row) for row in rows]
    return Dataset.from_dict(columns)


def _media(row: EncodedRow) -> str:
    """What a row shows or plays, as text; empty for nothing."""
    return row.media.as_text() if row.media is not None else ""


def _packed(rows: Sequence[EncodedRow], packs: Sequence[Sequence[int]]) -> Any:
    """Packs as one sequence each."""
    from datasets import Dataset

    return Dataset.from_list([_sequence([rows[number] for number in pack]) for pack in packs])


def _streamed(stream: EncodedStream, *, packed: bool, media: bool) -> Any:
    """The stream's sequences, made while the trainer asks for them.

    Raises HextuneError for packed media, which may come after the rows that were judged.
    """
    from datasets import Features, IterableDataset, List, Value

    columns = ("input_ids", "labels", "seq_lengths") if packed else ("input_ids", "labels")

    def sequences() -> Iterator[dict[str, Any]]:
        for rows in stream:
            if packed and any(row.media is not None for row in rows):
                raise fail("rule-media-packing")
            whole = _sequence(rows)
            texts = {"media": _media(rows[0])} if media else {}
            yield {name: whole[name] for name in columns} | texts

    texts = {"media": Value("string")} if media else {}
    features = Features({name: List(Value("int64")) for name in columns} | texts)
    return IterableDataset.from_generator(sequences, features=features)


def _sequence(rows: Sequence[EncodedRow]) -> dict[str, list[int]]:
    """Rows as one sequence; `seq_lengths` tells the collator where positions start anew."""
    return {
        "input_ids": [token for row in rows for token in row.input_ids],
        "labels": [label for row in rows for label in row.labels],
        "seq_lengths": [len(row.input_ids) for row in rows],
    }
