"""What goes into a GGUF file of a model: its plan, and its weights, adapters merged into each as it is read."""

from burnish.core.errors import ModelError
from burnish.export.gguf.shapes import Plan, shape_of
from burnish.models.bases import Source, folder_of, whole_model
from burnish.models.load import check_vocabulary, read_config, refuse_remote_code, refuse_unscaled
from burnish.models.quiet import quiet_transformers
from burnish.models.streaming import StreamedWeights

_EMBEDDING = "model.embed_tokens.weight"


def planned(source: Source) -> tuple[Plan, StreamedWeights]:
    """The plan and the weights of a model, or of an adapter on its base.

    Errors: those of reading either; ModelError `model.unsupported` for what a GGUF file cannot express, and for weights
    that cannot be read one by one.
    """
    base = folder_of(whole_model(source))
    config = read_config(base)
    refuse_remote_code(base / "config.json", config)
    if "quantization_config" in config:
        what = f"{base} is quantized, and a GGUF file is written from weights that are not"
        raise ModelError("model.unsupported", what, "give the model that it was quantized from")
    check_vocabulary(base, config)
    refuse_unscaled(base, config)
    family = config["model_type"]
    shape = shape_of(family)
    weights = _weights(source)
    from transformers import AutoConfig

    with quiet_transformers():
        values = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False).to_dict()
    values["vocab_size"] = weights.shapes[_EMBEDDING][0]  # trained tokens add rows
    if weights.is_untied:
        values["tie_word_embeddings"] = False
    return shape.plan(family, values, weights.shapes), weights


def _weights(source: Source) -> StreamedWeights:
    try:
        return StreamedWeights(source, merged=True)
    except ValueError as error:
        raise ModelError(
            "model.unsupported",
            f"the weights cannot be written one by one: {error}",
            "merge the adapter first (burnish merge), or use the original weights of a quantized model",
        ) from error
