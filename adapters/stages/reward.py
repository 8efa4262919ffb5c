"""Reward modelling: a value head learns to score chosen answers above rejected ones.

Bradley and Terry 1952, as in Ouyang et al. 2022, "Training language models to follow instructions
with human feedback", eq. 1: -log s(r(x, y+) - r(x, y-)). The language model's own head is left as
it was, so that one base can write with it and score with the value head.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from adapters.answers import Judged
from adapters.models.value_head import attach_head, scores
from adapters.preference_losses import bradley_terry
from adapters.stages import Parts
from adapters.stages.dpo import figures, pair_trainer
from domain.dataset import DatasetKind
from domain.fingerprint import Json
from domain.section import limited, options_of, section
from domain.stage import CHATTING, TrainingStage

STAGE = TrainingStage(
    name="reward",
    title="reward modelling",
    eats=DatasetKind.PREFERENCE,
    yields="reward_model",
    follows=CHATTING | {"pretrain"},
)


@section
class Options:
    """Options of stage reward."""

    center_weight: float = limited(0.0, ge=0)
    """Weight of (r+ + r-)^2, which keeps scores near 0, such as 0.01 (Eisenstein et al. 2023)."""


def check(values: Mapping[str, Json]) -> None:
    """No options contradict each other."""


def objective(options: Options, network: Any, autocast: AbstractContextManager[Any]) -> Any:
    """Loss and figures of a batch of pairs, scored by `network` under `autocast`."""

    def judge(batch: Mapping[str, Any], policy: Any, reference: Any) -> Judged:
        with autocast:
            chosen, rejected = scores(network, batch).chunk(2)
        losses = bradley_terry(chosen, rejected, options.center_weight)
        return Judged(losses, figures(chosen.detach(), rejected.detach()))

    return judge


def build_trainer(parts: Parts) -> Any:
    """A trainer over pairs, its network with a value head that learns too."""
    import torch

    from adapters.reward_trainer import HeadLoader, RewardTrainer

    network = attach_head(parts.network)
    mixed = torch.bfloat16 if parts.arguments["bf16"] else torch.float16
    enabled = bool(parts.arguments["bf16"] or parts.arguments["fp16"])
    autocast = torch.autocast(network.device.type, dtype=mixed, enabled=enabled)
    judge = objective(options_of(Options, parts.options), network, autocast)
    with_head = replace(parts, callbacks=[HeadLoader(), *parts.callbacks])
    return pair_trainer(with_head, judge, kind=RewardTrainer)
