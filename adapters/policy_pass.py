"""One forward pass over answers: log-probabilities, values and entropy of every token.

Shapes: B answers, T tokens, K positions that predict a token of any answer, V vocabulary, H width.
"""

from typing import Any

from adapters.rollouts import Rollouts


def policy_pass(
    network: Any, part: Rollouts, temperature: float, head: Any
) -> tuple[Any, Any, Any]:
    """(log-probabilities, values or None, entropy in nats), each float32 and (B, T - 1).

    They are those of the distribution that was drawn from: logits divided by `temperature`. Values
    are `head`'s, of the hidden states that the network's own head reads. What softmax keeps for the
    backward pass is made again there, an answer at a time; entropy carries no gradient.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    kept_K = part.answer.any(0).nonzero()[:, 0]
    output = network(
        input_ids=part.ids,
        attention_mask=part.attended,
        logits_to_keep=kept_K,
        use_cache=False,
        output_hidden_states=head is not None,
    )
    pairs = zip(output.logits, part.ids[:, 1:][:, kept_K], strict=True)
    rows = [
        checkpoint(_token_figures, logits, tokens, temperature, use_reentrant=False)
        for logits, tokens in pairs
    ]
    logps_BK, entropy_BK = (torch.stack(each) for each in zip(*rows, strict=True))
    values = None
    if head is not None:
        hidden_BKH = output.hidden_states[-1][:, kept_K].float()
        values = _spread((hidden_BKH * head.weight[0].float()).sum(-1), part, kept_K)
    return _spread(logps_BK, part, kept_K), values, _spread(entropy_BK, part, kept_K)


def _token_figures(logits: Any, tokens: Any, temperature: float) -> tuple[Any, Any]:
    """(log-probabilities (K,) of the tokens, entropy (K,)) of logits (K, V)."""
    logps_KV = (logits.float() / temperature).log_softmax(-1)
    fixed_KV = logps_KV.detach()
    return logps_KV.gather(-1, tokens[:, None])[:, 0], -(fixed_KV.exp() * fixed_KV).sum(-1)


def _spread(values: Any, part: Rollouts, kept: Any) -> Any:
    """Values at their positions, 0 where no token of the answer is predicted."""
    import torch

    whole = values.new_zeros(part.answer.shape)
    return torch.where(part.answer, whole.index_copy(1, kept, values), 0.0)
