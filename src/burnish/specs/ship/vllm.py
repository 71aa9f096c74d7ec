"""Arguments of `vllm serve` that a user may add to those that burnish writes."""

TAKEN = {
    "--served-model-name": "set name",
    "--max-model-len": "set context",
    "--dtype": "set dtype",
    "--tensor-parallel-size": "set tensor_parallel",
    "-tp": "set tensor_parallel",
    "--lora-modules": "set adapters",
    "--generation-config": "requests carry every sampling setting",
    "--host": "only burnish asks vLLM: set host of the server",
    "--port": "only burnish asks vLLM: set port of the server",
    "--model": "set model",
    **dict.fromkeys(
        ("--uds", "--api-key", "--ssl-keyfile", "--ssl-certfile", "--root-path", "--grpc", "--headless", "--config"),
        "burnish could not reach vLLM with it",
    ),
}
"""Flags that burnish writes, or that would keep it from reaching vLLM, and what to do instead."""


def arguments_of_vllm(words: list[str]) -> list[str]:
    """Refuse flags that burnish writes itself, also as vLLM's parser abbreviates them: the last of two would win."""
    if words and not words[0].startswith("-"):
        raise ValueError(f"'{words[0]}' is no flag: write the flag before its value")
    for word in words:
        name = word.partition("=")[0]
        flag = f"--{name[2:].replace('_', '-')}" if name.startswith("--") else name
        taken = next((one for one in TAKEN if one == flag or (len(flag) > 2 and one.startswith(flag))), None)
        if flag.startswith("-") and taken is not None:
            raise ValueError(f"{word} is not possible here ({taken}): {TAKEN[taken]}")
    return words
