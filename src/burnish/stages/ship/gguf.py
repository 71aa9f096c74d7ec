"""gguf: write a model, or an adapter on its base, as one GGUF file."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from burnish.core.context import Context, Outcome
from burnish.core.errors import AskError, ModelError, RunError
from burnish.core.events import Note, Progress
from burnish.core.files import file_size, write_json
from burnish.evals.certificates.gguf import GgufSubject
from burnish.evals.certificates.subject import LocalSubject
from burnish.export.gguf.adapter import write_adapter
from burnish.export.gguf.modelfile import modelfile
from burnish.export.gguf.proof import TokenizerProof, prove_tokenizer
from burnish.export.gguf.sampling import recommended, sampling_keys
from burnish.export.gguf.shapes import Plan
from burnish.export.gguf.tensors import planned
from burnish.export.gguf.vocabulary import vocabulary_keys
from burnish.export.gguf.writer import Written, write
from burnish.models.bases import is_adapter, tokenizer_folder, whole_model
from burnish.models.device import use_threads
from burnish.models.engines.llama.library import library
from burnish.models.engines.llama.model import LlamaModel
from burnish.models.quantization.record import read_quantization
from burnish.models.reward import is_reward_adapter
from burnish.specs.ship import GgufSpec
from burnish.stages.models.certifying import certify_output
from burnish.stages.ship.converting import convert, refuse_for_converter
from burnish.stages.ship.importance import gathered_importance
from burnish.stages.ship.names import file_name
from burnish.tokens.load import load_tokenizer


def run(spec: GgufSpec, ctx: Context) -> Outcome:
    """Write NAME-TYPE.gguf, gguf.json and a Modelfile; the file gets its name once its tokenizer is proved."""
    source = ctx.input("model")
    if is_adapter(source.path) and is_reward_adapter(source.path):
        what = f"{source.ref} is a reward model, and GGUF files hold language models"
        raise ModelError("model.unsupported", what, "use it with burnish evaluate, or with method: grpo")
    library()  # a missing package is reported before the long work
    threads, certifies = use_threads(spec.threads), spec.certify
    name = spec.name or file_name(source)
    if spec.form == "lora":
        return _adapter_alone(spec, ctx, name, threads, certifies)
    kind, strings = spec.type, spec.prove_strings
    data = ctx.input("data") if spec.data is not None else None
    effort = (spec.importance_rows, spec.importance_length) if spec.importance is not None else (0, 0)
    converter = ctx.input("converter") if spec.converter is not None else None
    ctx.check_settings()
    tokenizer = load_tokenizer(tokenizer_folder(source))
    generation = LocalSubject(source, source.ref, source.fingerprint, _cpu(), None).settings
    ends, sampling = _ends(generation), recommended(generation)
    final = ctx.out / f"{name}-{kind}.gguf"
    partial_file = ctx.out / f"{final.name}.part"
    try:
        plan, weights = planned(source)
        keys = {"general.type": "model", **sampling_keys(sampling)}
        keys |= vocabulary_keys(tokenizer, plan.keys[f"{plan.architecture}.vocab_size"], ends, name)
    except ModelError as error:
        if converter is None or error.code != "model.unsupported":
            raise
        refuse_for_converter(spec, source, error.what)
        ctx.emit(Note(level="warning", text=f"{error.what}; llama.cpp's converter writes the file"))
        record = {"type": kind, "converter": convert(ctx, source, converter.path, kind, partial_file)}
    else:
        if converter is not None:
            ctx.emit(Note(text=f"{converter.ref} is not used: burnish writes {plan.architecture} itself"))
        for note in plan.notes:
            ctx.emit(Note(level="warning", text=note))
        importance = None if effort == (0, 0) else gathered_importance(ctx, source, tokenizer, *effort)
        more: dict[str, Any] = {}
        if importance is not None:
            keys |= {"quantize.imatrix.dataset": ctx.input("importance").ref}
            keys |= {"quantize.imatrix.entries_count": len(importance.values)}
            more = {"importance": importance.as_dict()}
        columns = None if importance is None else importance.values
        settings: dict[str, Any] = {"threads": threads, "importance": columns, "progress": partial(_progress, ctx)}
        written = write(partial_file, plan, weights, keys, kind, **settings)
        record = _record(plan, written, kind) | more
    proof, context = _prove(partial_file, tokenizer, strings, ends, ctx)
    partial_file.rename(final)
    (ctx.out / "Modelfile").write_text(modelfile(final.name, tokenizer, ends, context, sampling), encoding="utf-8")
    size = final.stat().st_size
    write_json(ctx.out / "gguf.json", {**record, "bytes": size, "tokenizer": proof.as_dict()})
    text = f"{final.name}: {file_size(size)}; llama.cpp gives the tokenizer's tokens for {proof.strings:,} strings"
    ctx.emit(Note(text=text))
    measures = {"bytes": size, "strings_proved": proof.strings}
    measures |= {"tensors": len(record["tensors"])} if "tensors" in record else {}
    if not certifies:
        return Outcome("gguf", measures)

    def child(parent: LocalSubject) -> GgufSubject:
        return GgufSubject(final, "", "", parent.tokenizer, threads)

    return Outcome("gguf", measures, certificate=certify_output(ctx, source, kind, child, data))


def _adapter_alone(spec: GgufSpec, ctx: Context, name: str, threads: int, certifies: bool) -> Outcome:
    """Write NAME-lora.gguf; it is certified on its base, which is a file in scratch for that time."""
    source = ctx.input("model")
    if not is_adapter(source.path):
        raise AskError(
            "ask.wrong-value", f"form: lora is for adapters, and {source.ref} is a model", "remove form: lora"
        )
    data = ctx.input("data") if spec.data is not None else None
    ctx.check_settings()
    final = ctx.out / f"{name}-lora.gguf"
    changed = write_adapter(final, source, name)
    ctx.emit(Note(text=f"{final.name}: {changed} weights, {file_size(final.stat().st_size)}"))
    measures = {"bytes": final.stat().st_size, "weights_changed": changed}
    if certifies and read_quantization(source.path) is not None:
        ctx.emit(
            Note(level="warning", text="not certified: its base was in 4 bits in training, and is not in a GGUF file")
        )
        certifies = False
    if not certifies:
        return Outcome("gguf-adapter", measures)
    base, held = whole_model(source), ctx.scratch / "base-F32.gguf"
    plan, weights = planned(base)
    tokenizer = load_tokenizer(tokenizer_folder(source))
    keys = vocabulary_keys(tokenizer, plan.keys[f"{plan.architecture}.vocab_size"], (), name)
    write(held, plan, weights, keys, "F32", threads=threads, progress=partial(_progress, ctx))

    def child(parent: LocalSubject) -> GgufSubject:
        return GgufSubject(held, "", "", parent.tokenizer, threads, [final])

    try:
        return Outcome("gguf-adapter", measures, certificate=certify_output(ctx, source, "F32", child, data))
    finally:
        held.unlink()


def _ends(settings: dict[str, Any] | None) -> list[int]:
    """The tokens that end an answer by the generation config."""
    given: Any = (settings or {}).get("eos_token_id")
    ends: list[Any] = [] if given is None else given if isinstance(given, list) else [given]
    if wrong := [one for one in ends if type(one) is not int or one < 0]:
        what = f"generation_config.json: eos_token_id has {wrong[0]!r}, and ids of tokens are expected"
        raise ModelError("model.broken", what, "correct it, or copy the model again")
    return ends


def _prove(path: Path, tokenizer: Any, strings: int, ends: Sequence[int], ctx: Context) -> tuple[TokenizerProof, int]:
    """Prove the tokenizer of the file, and that answers end where the model's own do; with the context of the file."""
    model = LlamaModel(path, vocabulary_only=True)
    try:
        proof = prove_tokenizer(model, tokenizer, strings=strings)
        own, context = model.ends(), int(model.context)
    finally:
        model.close()
    if missing := sorted({*ends} - {*own}):
        named = tokenizer.convert_ids_to_tokens(missing)
        tokens = ", ".join(
            f"id {number}" if name is None else repr(name) for number, name in zip(missing, named, strict=True)
        )
        raise ModelError(
            "model.unsupported",
            f"answers of the model end at {tokens}, and llama.cpp does not end there",
            "remove them from eos_token_id of generation_config.json, if answers end at another token too",
        )
    if ends and (more := sorted({*own} - {*ends})):
        tokens = ", ".join(map(repr, tokenizer.convert_ids_to_tokens(more)))
        ctx.emit(
            Note(text=f"llama.cpp ends answers at {tokens} too, which the model's generation config does not name")
        )
    if proof.other_spaces:
        text = "llama.cpp keeps white space beyond ASCII after special tokens, where the tokenizer strips it"
        share = f"{proof.other_spaces:,} of {proof.strings:,} strings"
        ctx.emit(Note(level="warning", text=f"{text}: {share} were compared without it"))
    if tokenizer.chat_template is not None and not proof.conversations:
        text = "the chat template renders none of the golden conversations: no tokens of conversations were compared"
        ctx.emit(Note(level="warning", text=text))
    if proof.normalization:
        share = f"{proof.differ_unnormalized:,} of {proof.strings:,} strings"
        text = f"llama.cpp does not normalise texts to {proof.normalization}, as the tokenizer does"
        ctx.emit(Note(level="warning", text=f"{text}: {share} get other tokens unless the client normalises them"))
    return proof, context


def _progress(ctx: Context, done: int, total: int) -> None:
    ctx.emit(Progress(phase="gguf", done=done, total=total, unit="tensors"))
    if ctx.stopping:
        raise RunError("run.interrupted", f"stopped after {done} of {total} tensors", "run it again")


def _record(plan: Plan, written: Written, kind: str) -> dict[str, Any]:
    return {
        "architecture": plan.architecture,
        "type": kind,
        "keys": dict(plan.keys),
        "tensors": dict(written.tensors),
        "notes": list(plan.notes),
    }


def _cpu() -> Any:
    import torch

    return torch.device("cpu")
