"""Small values for the tests of the domain: a spec, rows ready to train on, a plan."""

from typing import Any

from domain.dataset import DataSource
from domain.masking import IGNORED, EncodedRow
from domain.model_handle import ModelHandle
from domain.parallelism import ParallelismSection
from domain.planning import estimate, make_plan
from domain.precision import PrecisionSection
from domain.prepared import PreparedData
from domain.run_plan import Origin, RunPlan, TrainerFacts
from domain.run_spec import (
    BatchingSection,
    Choice,
    DataSection,
    ModelSection,
    OutputSection,
    RunSpec,
    ScheduleSection,
    TrackingSection,
)
from tests.fakes.models import CPU, HANDLE

FACTS = TrainerFacts(adapter_based=True, trainable=1000)


def spec(**changes: Any) -> RunSpec:
    """A complete spec of the fake model, with some of its keys changed."""
    values: dict[str, Any] = {
        "model": ModelSection(name="fake"),
        "data": DataSection(train=(DataSource(path="rows.jsonl"),)),
        "stage": Choice("sft", {}),
        "method": Choice("lora", {"rank": 8}),
        "quantization": None,
        "precision": PrecisionSection(),
        "optimizer": Choice("adamw", {"learning_rate": 2e-4}),
        "schedule": ScheduleSection(),
        "batching": BatchingSection(),
        "parallelism": ParallelismSection(),
        "tracking": TrackingSection(),
        "output": OutputSection(),
    }
    return RunSpec(**{**values, **changes})


def data_section(**changes: Any) -> DataSection:
    """A data section of one file."""
    values: dict[str, Any] = {"train": (DataSource(path="rows.jsonl"),), **changes}
    return DataSection(**values)


def row(tokens: int, trained: int = 1) -> EncodedRow:
    """A row of `tokens` tokens of which the last `trained` carry a loss."""
    ids = tuple(range(tokens))
    return EncodedRow(ids, (IGNORED,) * (tokens - trained) + ids[tokens - trained :])


def prepared(train: tuple[EncodedRow, ...] = (row(10), row(20)), **changes: Any) -> PreparedData:
    """Prepared data of two rows."""
    values: dict[str, Any] = {
        "train": train,
        "eval": (),
        "rows_read": len(train),
        "packs": None,
        "dropped": (),
        "too_long": (),
        "formats": {"rows.jsonl": "alpaca"},
        "fingerprint": "f" * 64,
        "template_fingerprint": "t" * 64,
    }
    return PreparedData(**{**values, **changes})


def plan(
    asked: RunSpec | None = None,
    origins: dict[str, Origin] | None = None,
    data: PreparedData | None = None,
    model: ModelHandle = HANDLE,
) -> RunPlan:
    """The plan of a spec on the fake CPU."""
    asked, data = asked or spec(), data or prepared()
    return make_plan(
        spec=asked,
        origins=origins or {},
        hardware=CPU,
        model=model,
        trainer=FACTS,
        data=data,
        memory=estimate(asked, CPU, model, FACTS, None, data.longest),
    )
