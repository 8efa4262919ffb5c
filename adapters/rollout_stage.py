"""What the stages that learn from rewards have in common: options, their checks, their trainer."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from adapters.reward_sum import check_rewards, frozen_weights, summed
from adapters.rewards import Setting
from adapters.stages import Parts
from adapters.vllm_command import check_vllm
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import limited, parts, section


@section
class RolloutOptions:
    """Options of every stage that learns from rewards."""

    rewards: tuple[Mapping[str, Json], ...] = parts("rewards")
    """What answers are worth: the weighted sum of these."""
    max_new_tokens: int = limited(128, ge=1)
    """The most tokens of an answer."""
    temperature: float = limited(1.0, gt=0)
    """Answers are drawn from logits divided by this; the policy that learns is that one."""
    epochs: int = limited(1, ge=1)
    """Passes over the answers of a step."""
    minibatches: int = limited(1, ge=1)
    """Updates in each pass, of as many answers each."""
    kl_weight: float = limited(0.05, ge=0)
    """How much leaving the reference costs, for each nat; with 0 there is no reference."""
    engine: Literal["transformers", "vllm"] = "transformers"
    """What writes the answers: the network itself, or vLLM in a process of its own, which is given
    the LoRA adapter before each step. HEXTUNE_VLLM_PYTHON names its interpreter; on a GPU leave it
    room with HEXTUNE_VLLM_ARGS, such as --gpu-memory-utilization 0.3. A resumed run may then write
    other answers than the whole one."""
    unended_penalty: float = limited(0.0, ge=0)
    """Taken off the worth of an answer that did not end within max_new_tokens."""


def check_rollouts(options: RolloutOptions) -> None:
    """Raises HextuneError for rewards that cannot work, and where vLLM is asked for and missing."""
    check_rewards(options.rewards)
    if options.engine == "vllm":
        check_vllm("stage.engine", "vllm")


def rollout_facts(values: Mapping[str, Json], model: ModelHandle) -> dict[str, Any]:
    """What a plan has to know, by the names of TrainerFacts' fields."""
    rewards: Sequence[Mapping[str, Json]] = values["rewards"]  # type: ignore[assignment]
    kept = frozen_weights(rewards, model)
    return {
        "answers": values["generations"],
        "answer_tokens": values["max_new_tokens"],
        "beside": kept.weights,
        "shares_base": kept.shares_base,
    }


def rollout_trainer(
    parts: Parts, options: Any, learning: Any, *, kl_target: float | None = None
) -> Any:
    """A trainer of an algorithm over the prompts of `parts`; `options` are a RolloutOptions with
    `generations`."""
    from transformers import TrainingArguments

    from adapters.rollout_trainer import Plan, RolloutTrainer
    from adapters.rollouts import PromptCollator, prompt_columns
    from adapters.stages.dpo import pad_token

    arguments = dict(parts.arguments)
    prompts = arguments["per_device_train_batch_size"]
    arguments["per_device_train_batch_size"] *= arguments.pop("gradient_accumulation_steps")
    setting = Setting(
        network=parts.network,
        tokenizer=parts.tokenizer,
        model=parts.model,
        most_rows=prompts * options.generations,
    )
    plan = Plan(
        writer=_writer(parts, options),
        generations=options.generations,
        epochs=options.epochs,
        minibatches=options.minibatches,
        pass_prompts=prompts,
        kl_weight=options.kl_weight,
        kl_target=kl_target,
    )
    return RolloutTrainer(
        learning=learning,
        plan=plan,
        score=summed(options.rewards, setting, options.unended_penalty),
        reference=parts.reference,
        pad=pad_token(parts.tokenizer),
        model=parts.network,
        args=TrainingArguments(**arguments, remove_unused_columns=False),
        data_collator=PromptCollator(),
        train_dataset=_training(parts),
        eval_dataset=[prompt_columns(row) for row in parts.data.eval] if parts.data.eval else None,
        processing_class=parts.tokenizer,
        callbacks=list(parts.callbacks),
    )


def _writer(parts: Parts, options: RolloutOptions) -> Any:
    from adapters.rollouts import Writer
    from adapters.vllm_writer import VllmWriter

    said = (parts.tokenizer, options.max_new_tokens, options.temperature)
    return VllmWriter(*said, parts.model) if options.engine == "vllm" else Writer(*said)


def _training(parts: Parts) -> Any:
    from adapters.rollout_trainer import PromptStream
    from adapters.rollouts import prompt_columns

    stream = parts.data.stream
    if stream is None:
        return [prompt_columns(row) for row in parts.data.train]
    return PromptStream(stream)
