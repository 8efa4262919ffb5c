"""Samples while a run trains: prompts answered by the model as it is, always the likeliest token.

They draw no random number and leave every module in the mode it was in, so a run with samples and
one without learn the same, bit for bit.
"""

from typing import Any

from transformers import TrainerCallback

from domain.events import EventKind
from domain.tracking import SamplesSection
from ports.trainer import Emit


class SampleCallback(TrainerCallback):  # type: ignore[misc]
    """Emits an event for every prompt, every so many steps."""

    def __init__(self, asked: SamplesSection, tokenizer: Any, *, chats: bool, emit: Emit) -> None:
        self._asked = asked
        self._tokenizer = tokenizer
        self._chats = chats
        self._emit = emit

    def on_step_end(
        self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any
    ) -> None:
        """Ask and answer, if it is time."""
        import torch

        step = int(state.global_step)
        if step % self._asked.every_steps or not state.is_world_process_zero:
            return
        mixed = torch.bfloat16 if args.bf16 else torch.float16
        modes = {module: module.training for module in model.modules()}
        model.eval()
        with (
            torch.no_grad(),
            torch.autocast(model.device.type, dtype=mixed, enabled=args.bf16 or args.fp16),
        ):
            answers = [self._answer(model, prompt) for prompt in self._asked.prompts]
        for module, training in modes.items():
            module.training = training
        for prompt, answer in zip(self._asked.prompts, answers, strict=True):
            self._emit(EventKind.SAMPLE, {"step": step, "prompt": prompt, "text": answer})

    def _answer(self, model: Any, prompt: str) -> str:
        from transformers import GenerationConfig

        tokenizer = self._tokenizer
        if self._chats:
            turns = [{"role": "user", "content": prompt}]
            made = tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, return_dict=True, return_tensors="pt"
            )
        else:
            made = tokenizer(prompt, return_tensors="pt")
        ids = made["input_ids"].to(model.device)
        own = model.generation_config
        likeliest = GenerationConfig(
            max_new_tokens=self._asked.max_tokens,
            do_sample=False,
            eos_token_id=own.eos_token_id or tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id
            if tokenizer.pad_token_id is None
            else tokenizer.pad_token_id,
        )
        mask = made["attention_mask"].to(model.device)
        found = model.generate(
            input_ids=ids, attention_mask=mask, generation_config=likeliest, use_cache=True
        )
        return str(tokenizer.decode(found[0, ids.shape[1] :], skip_special_tokens=True)).strip()
