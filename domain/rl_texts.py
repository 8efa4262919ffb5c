"""Texts of the errors of stages that learn from rewards."""

from collections.abc import Mapping

from domain.error_text import ErrorText

RL_TEXTS: Mapping[str, ErrorText] = {
    "rule-rl-no-reward": ErrorText(
        "The stage learns from rewards, and `stage.rewards` names none.",
        "Add one; `tune list rewards` shows all.",
    ),
    "rule-rl-target": ErrorText(
        "`stage.kl_target` steers the weight of a penalty, and stage.kl_weight=0 leaves the "
        "penalty out.",
        "Set stage.kl_weight to its first value, such as 0.05.",
    ),
    "rule-rl-minibatches": ErrorText(
        "{minibatches} updates cannot share the {answers} answers of a step.",
        "Lower stage.minibatches, or raise batching.per_device.",
    ),
    "rule-rl-context": ErrorText(
        "A prompt of {prompt} tokens and an answer of {answer} do not fit into the context of "
        "{context}.",
        "Lower stage.max_new_tokens, or data.max_tokens to leave longer prompts out.",
    ),
    "rule-rl-cut": ErrorText(
        "`{policy}` would cut prompts, and an answer to half a question teaches nothing.",
        "Set data.over_long to drop or error.",
    ),
    "rule-rl-dropout": ErrorText(
        "Dropout makes the policy that learns another one than the policy that answered, and "
        "stage {stage} compares the two.",
        "Set method.dropout=0.",
    ),
    "rule-rl-attention": ErrorText(
        "S2 attention is another one while answers are written, so stage {stage} would learn "
        "from answers of another policy.",
        "Set model.attention=auto.",
    ),
    "rule-rl-one-pass": ErrorText(
        "{optimizer} takes gradients away as they arrive, and an update of stage {stage} "
        "gathers those of several passes.",
        "Use optimizer.name=adamw.",
    ),
    "rule-rl-reference": ErrorText(
        "A reward compares answers with the rows' references, and a row has none.",
        "Add a column `answer`, name yours with data.train.0.columns.answer, or set compare: "
        "false.",
    ),
    "rule-rl-shared-base": ErrorText(
        "The reward model lies over the base that method {method} changes, so its scores would "
        "change too.",
        "Use method.name=lora with init zero, or a reward model trained with method full.",
    ),
    "rule-rl-engine": ErrorText(
        "vLLM writes answers with one LoRA adapter over the model as it is stored, at a "
        "temperature of 0.01 or more; {what} asks for something else.",
        "Leave it out, or set stage.engine=transformers.",
    ),
    "vllm-missing": ErrorText(
        "`{feature}` needs vLLM, and {python} does not have it.",
        "Install vLLM in an environment of its own and name its interpreter with "
        "HEXTUNE_VLLM_PYTHON.",
    ),
    "vllm-refused": ErrorText(
        "vLLM refused to write answers: {reason}.",
        "Mend HEXTUNE_VLLM_ARGS, or set stage.engine=transformers.",
        75,
    ),
    "reward-pattern": ErrorText(
        "`{pattern}` is no regular expression: {reason}.",
        "Mend it; quote it in YAML with single quotes.",
    ),
    "reward-pattern-group": ErrorText(
        "`{pattern}` captures nothing that could be compared with the reference.",
        "Put what is compared in brackets, such as '(-?[0-9]+)'.",
    ),
    "reward-file-missing": ErrorText(
        "There is no reward file `{path}`.",
        "Paths start from the folder the command runs in, {folder}.",
        3,
    ),
    "reward-untrusted": ErrorText(
        "`{path}` is a Python file that would be run with all rights you have.",
        "Read it; then allow it with trust_script: true beside its path.",
    ),
    "reward-no-function": ErrorText(
        "`{path}` defines no function `{name}`.",
        "Define {name}(prompts, answers, rows), which returns one number for each answer.",
    ),
    "reward-failed": ErrorText(
        "The reward function in `{path}` failed: {reason}.",
        "Mend it there.",
    ),
    "reward-not-numbers": ErrorText(
        "The reward `{name}` gave no list of numbers, one for each answer: {reason}.",
        "Mend the reward.",
    ),
    "reward-url": ErrorText(
        "`{url}` is no address of a scoring server.",
        "Write it with http:// or https:// at its beginning.",
    ),
    "reward-no-key": ErrorText(
        "The environment variable `{name}` with the scoring server's key is not set.",
        "Set it, or leave key_variable out.",
    ),
    "reward-model-missing": ErrorText(
        "`{name}` is neither a run of stage reward nor a folder with a value head beside a model.",
        "Train one with `stage.name=reward`, and give its run or its folder model/.",
        3,
    ),
    "reward-refused": ErrorText(
        "`{url}` gave no scores: {reason}.",
        "Check the address, the model's name and the key.",
        75,
    ),
    "reward-other-base": ErrorText(
        "The reward model `{name}` was trained over {theirs}, and the policy starts from {ours}.",
        "Train both over the same model and adapters.",
    ),
    "reward-other-kind": ErrorText(
        "The reward model in {name} is an adapter of kind {kind}, and the policy's is "
        "{policy}; only one kind can be switched.",
        "Train both with the same method.",
    ),
    "reward-two-models": ErrorText(
        "Two reward models would share the policy's base; one can.",
        "Keep one of them, or serve the other and name it with the reward http.",
    ),
    "reward-vocabulary": ErrorText(
        "The reward model in {name} knows {rows} tokens and the policy {model}, so the same "
        "ids would mean other words.",
        "Use a reward model with the policy's tokenizer, or serve it and name it with the "
        "reward http.",
    ),
}
