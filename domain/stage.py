"""Training stages: what each eats, what it yields, and which may follow which."""

from dataclasses import dataclass

from domain.dataset import DatasetKind

CHATTING = frozenset({"sft", "dpo", "kto", "orpo", "simpo", "cpo", "ppo", "grpo", "rloo"})
"""Stages whose result can be chatted with, and aligned further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStage:
    """One kind of training, such as supervised fine-tuning."""

    name: str
    """The stage's name in a spec, and its file's name."""
    title: str
    """What a person calls it."""
    eats: DatasetKind
    """The kind of rows it trains on."""
    yields: str
    """What it makes: `base_model` continues text, `chat_model` can be chatted with, `reward_model`
    scores answers."""
    follows: frozenset[str]
    """Stages whose result it may start from; a published model counts as `pretrain` or `sft`."""
    needs_reference: bool = False
    """Whether it measures answers against the model it started from."""
    value_head: bool = False
    """Whether a head learns beside the network to say what an answer is worth."""

    def may_follow(self, earlier: "TrainingStage") -> bool:
        """Whether this stage may start from what `earlier` yields."""
        return earlier.name in self.follows
