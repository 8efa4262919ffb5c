"""Every field of a request for a response, and what this server does with it.

The names are those of `CreateResponse` in OpenAI's API description.
"""

from collections.abc import Mapping

from entrypoints.http_api.schema.fields import REJECTED, FieldRule, honoured, neutral

RESPONSE_FIELDS: Mapping[str, FieldRule] = {
    "model": honoured("an id out of `/v1/models`"),
    "input": honoured(
        "a text, or items: messages of texts, `function_call`, `function_call_output`, `reasoning`"
    ),
    "instructions": honoured("a system text for this response only"),
    "previous_response_id": honoured("a response that is kept; its items come first"),
    "temperature": honoured("0 to 2, 1 where not set; 0 takes the likeliest token"),
    "top_p": honoured("above 0, up to 1"),
    "max_output_tokens": honoured("1 or more; as far as the context reaches where not set"),
    "tools": honoured("functions; `strict` where not set, as OpenAI's API has it here"),
    "tool_choice": honoured(
        "`auto`, `none` (the model is told no tools), `required`, or one function, called once"
    ),
    "parallel_tool_calls": honoured("true where not set; false ends the answer after one call"),
    "text": honoured("`format`: `text`, `json_object` or `json_schema`, which is held strictly"),
    "stream": honoured("true or false"),
    "store": honoured("whether it is kept: true where not set, in memory, the newest 64 MiB"),
    "background": honoured(
        "true replies at once: the response is made meanwhile, retrieved and cancelled by its id; "
        "not with `stream` or with `store` false"
    ),
    "metadata": honoured("up to 16 texts"),
    "include": neutral([]),
    "reasoning": neutral({}),
    "service_tier": neutral("auto", "default"),
    "stream_options": neutral({"include_obfuscation": False}),
    "top_logprobs": neutral(0),
    "truncation": neutral("disabled"),
    "context_management": REJECTED,
    "conversation": REJECTED,
    "max_tool_calls": REJECTED,
    "moderation": REJECTED,
    "prompt": REJECTED,
    "prompt_cache_key": REJECTED,
    "prompt_cache_options": REJECTED,
    "prompt_cache_retention": REJECTED,
    "safety_identifier": REJECTED,
    "user": REJECTED,
}

_OF_REPLIES: Mapping[str, FieldRule] = {
    "type": honoured("the kind of item; message where not set"),
    "id": honoured("the id of an item that was replied"),
    "status": honoured("its status"),
}

ITEM_FIELDS: Mapping[str, Mapping[str, FieldRule]] = {
    "message": {
        **_OF_REPLIES,
        "role": honoured("user, assistant, system or developer"),
        "content": honoured("text, or parts of type input_text and output_text"),
    },
    "function_call": {
        **_OF_REPLIES,
        "call_id": honoured("the id that the result names"),
        "name": honoured("the function"),
        "arguments": honoured("a JSON object as text"),
    },
    "function_call_output": {
        **_OF_REPLIES,
        "call_id": honoured("the id of the call"),
        "output": honoured("text, or parts of type input_text"),
    },
    "reasoning": {
        **_OF_REPLIES,
        "summary": neutral([]),
        "content": honoured("parts of type reasoning_text, which belong to the answer after it"),
    },
}
"""Fields of one item of the input; an item of a reply can be sent back as it is."""
