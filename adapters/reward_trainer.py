"""The preference trainer of a network with a value head, which is kept beside what it saves."""

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from adapters.models.value_head import load_head, save_head
from adapters.preference_trainer import PreferenceTrainer


class RewardTrainer(PreferenceTrainer):
    """Writes the head into every checkpoint and into the result."""

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The model or adapter as ever, then the head."""
        folder = output_dir or self.args.output_dir
        super().save_model(folder, _internal_call)
        save_head(self.model, folder)


class HeadLoader(TrainerCallback):  # type: ignore[misc]
    """Gives a resumed run the head of its checkpoint, before the first step."""

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any
    ) -> None:
        """A run that starts at step 0 keeps its fresh head."""
        if state.global_step:
            load_head(model, Path(args.output_dir) / f"checkpoint-{state.global_step}")
