"""Texts of the errors and rules of training in several processes."""

from collections.abc import Mapping

from domain.error_text import ErrorText

PARALLEL_TEXTS: Mapping[str, ErrorText] = {
    "run-rank-died": ErrorText(
        "Process {rank} of the {count} that train together ended: {reason}.",
        "Its log is {log}, which ends so:\n{tail}\n`tune resume` goes on from the last "
        "complete checkpoint.",
        6,
    ),
    "run-not-parallel": ErrorText(
        "The model was prepared as {found}, which is not {strategy}.",
        "This combination of model and libraries does not train so here; choose another "
        "parallelism.strategy.",
        6,
    ),
    "parallel-config-missing": ErrorText(
        "There is no DeepSpeed file `{path}`.",
        "Name a JSON file, or leave parallelism.config out: one is made from the plan.",
        3,
    ),
    "parallel-config-unreadable": ErrorText(
        "The DeepSpeed file `{path}` cannot be used: {reason}.",
        "It must be one JSON object, as https://www.deepspeed.ai/docs/config-json/ describes.",
        2,
    ),
    "rule-parallel-unused": ErrorText(
        "{keys} would do nothing: parallelism.strategy is {strategy}.",
        "Leave them out, or set parallelism.strategy to ddp, fsdp2 or deepspeed; zero, "
        "offload and config belong to deepspeed.",
    ),
    "rule-parallel-devices": ErrorText(
        "{processes} processes need as many devices, and there are {count} here ({device}).",
        "Set parallelism.processes to {count} or less.",
    ),
    "rule-parallel-alone": ErrorText(
        "With {strategy} and one process nothing is shared ({reason}).",
        "Set parallelism.processes to 2 or more, or leave parallelism out.",
    ),
    "rule-parallel-offload": ErrorText(
        "Weights leave the device only where they are divided, and parallelism.zero is {zero}.",
        "Set parallelism.zero to 3, or parallelism.offload to optimizer.",
    ),
    "rule-parallel-stage": ErrorText(
        "Stage {stage} does not train in several processes.",
        "These do: {fits}. Leave parallelism out.",
    ),
    "rule-parallel-method": ErrorText(
        "Method {method} as it is set here does not train with {strategy}.",
        "These do: {fits}. Or choose another parallelism.strategy.",
    ),
    "rule-parallel-optimizer": ErrorText(
        "Optimizer {optimizer} does not train with {strategy}: it would not step as one "
        "process does.",
        "These do: {fits}. Or choose another parallelism.strategy.",
    ),
    "rule-parallel-precision": ErrorText(
        "{strategy} does not train in {mode} precision with {dtype}.",
        "Set precision.mode to {fits}.",
    ),
    "rule-parallel-reference": ErrorText(
        "The reference model of this run would be a whole copy in each process, which "
        "{strategy} is there to avoid.",
        "Train an adapter over the starting model (method lora), whose base is the "
        "reference, or use ddp.",
    ),
    "rule-parallel-unproved": ErrorText(
        "{keys} cannot be used with {strategy}.",
        "Leave them out, or choose another parallelism.strategy.",
    ),
    "rule-parallel-config": ErrorText(
        "The DeepSpeed file contradicts the spec: {fields}.",
        'Take these out of the file, or write "auto" there: the spec decides them.',
    ),
}
