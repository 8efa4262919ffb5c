"""New tokens: a tokenizer that knows them, and a network with a row for each.

A new row starts at the mean of the old rows, or at the mean of the rows of the words that describe
its token, plus noise of N(0, 1 / sqrt(width)), which keeps rows apart (LLaMA-Factory paper, section
3, after Hewitt 2021). The noise is seeded by the token, so that every process starts alike.

Shapes: V rows, W width.
"""

import copy
from collections.abc import Iterator
from typing import Any

from domain.errors import Place, fail
from domain.fingerprint import fingerprint
from domain.model_handle import ModelHandle, NewTokens

PLACE = Place(field="model.new_tokens")


def with_tokens(tokenizer: Any, tokens: NewTokens) -> Any:
    """A copy that knows these tokens as well. Raises HextuneError for those it knows already."""
    from transformers import AddedToken

    if not tokens:
        return tokenizer
    known = [text for text, _ in tokens if text in tokenizer.get_vocab() or not text.strip()]
    if known:
        raise fail("model-token-known", PLACE, tokens=", ".join(map(repr, known)))
    grown = copy.deepcopy(tokenizer)
    # no command, as it is meant to stand in the text of messages
    grown.add_tokens([AddedToken(text, normalized=False) for text, _ in tokens])
    return grown


def resized(network: Any, rows: int) -> Any:
    """The network with so many rows at least, the old ones kept and the new ones not yet set."""
    if rows > network.get_input_embeddings().weight.shape[0]:
        network.resize_token_embeddings(rows, mean_resizing=False)
    return network


def token_parts(network: Any) -> tuple[str, ...]:
    """Last names of the parts with a row for each token; a tied head is none of its own."""
    return tuple(path.rpartition(".")[2] for path, _ in _matrices(network))


def grow(network: Any, tokenizer: Any, handle: ModelHandle) -> Any:
    """The network with a first row for each new token in every part that has rows of tokens."""
    import torch

    resized(network, handle.vocabulary)
    with torch.no_grad():
        for _, module in _matrices(network):
            old_VW = module.weight[: len(tokenizer) - len(handle.new_tokens)].float()
            for text, words in handle.new_tokens:
                like = tokenizer(words or "", add_special_tokens=False)["input_ids"]
                mean_W = (old_VW[like] if like else old_VW).mean(0)
                seed = int(fingerprint([text])[:8], 16)
                noise_W = torch.randn(len(mean_W), generator=torch.Generator().manual_seed(seed))
                row_W = mean_W + noise_W.to(mean_W.device) / len(mean_W) ** 0.5
                module.weight[tokenizer.convert_tokens_to_ids(text)] = row_W.to(module.weight.dtype)
    return network


def _matrices(network: Any) -> Iterator[tuple[str, Any]]:
    """(path, module) of the embeddings, and of the head where it has weights of its own."""
    embeddings, head = network.get_input_embeddings(), network.get_output_embeddings()
    for path, module in network.named_modules():
        own_head = module is head and head.weight is not embeddings.weight
        if module is embeddings or own_head:
            yield path, module
