"""What is served: the engine with its model and adapters, and a tokenizer and template for each name of requests."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.core.context import Context, Input
from burnish.core.errors import AskError, ModelError, RunError
from burnish.core.events import Chosen, Note
from burnish.core.fingerprint import of_value
from burnish.core.inputs.checks import artifact_at, check_base
from burnish.core.inputs.gguf import gguf_file
from burnish.core.inputs.references import check_kind, fetched, resolve
from burnish.core.processes import usable_cores
from burnish.core.runs.workspace import Workspace
from burnish.evals.certificates.gguf import GgufSubject
from burnish.models.adapters.vllm import rank_of, reason_not_loaded
from burnish.models.bases import folder_of, is_adapter, tokenizer_folder, whole_model
from burnish.models.quantization.record import read_quantization
from burnish.models.reward import is_reward_adapter
from burnish.models.weights import ADAPTER_CONFIG, read_json
from burnish.serve.chat.golden import replay
from burnish.serve.chat.model import ServedModel
from burnish.serve.engines.llama import llama_engine
from burnish.serve.engines.pipe import PipeEngine
from burnish.serve.engines.supervision import Limits
from burnish.serve.engines.transformers import transformers_engine
from burnish.serve.engines.vllm import VllmEngine
from burnish.specs.base import short_name
from burnish.specs.ship import ServeSpec
from burnish.stages.models.tokenizers import tokenizer_of
from burnish.stages.ship.cached_gguf import CachedFile, cached_gguf
from burnish.stages.ship.engines import EngineKind, chosen_engine, read_settings, vllm_program
from burnish.tokens.load import load_tokenizer

ADAPTER_KINDS = ("adapter", "gguf-adapter")
ServedEngine = PipeEngine | VllmEngine


@dataclass
class Served:
    """`models` are by name, the first is the default."""

    engine: ServedEngine
    models: list[ServedModel]
    source: Input
    files: Mapping[str, Path]
    spec: ServeSpec
    ctx: Context

    async def load_adapter(self, name: str, reference: str) -> ServedModel:
        """Load a further adapter by its reference. Errors: AskError, ModelError, EngineError."""
        return await self.load(name, await asyncio.to_thread(_resolved, reference, self.ctx))

    async def load(self, name: str, adapter: Input) -> ServedModel:
        """Load a further adapter. Errors: AskError, ModelError, EngineError."""
        _refuse_reward_model(adapter)
        model = ServedModel(name, _tokenizer(adapter, self.models[0].tokenizer), adapter=name)
        path = await asyncio.to_thread(self._prepared, adapter, model)
        await self.engine.add_adapter(name, path)
        model.fingerprint = served_fingerprint(self.spec, self.engine.name, self.source, adapter)
        return model

    def _prepared(self, adapter: Input, model: ServedModel) -> Path:
        """What the engine reads of an adapter whose golden conversations are those of its certificate."""
        if self.engine.name != "llama.cpp":
            folder = adapter_folder(adapter, self.source, self.ctx)
            _replay(self.ctx, model, _certificate(adapter))
            return folder
        made = adapter_file(self.spec, self.ctx, adapter, self.source)
        _replay(self.ctx, model, made.certificate, self.files[self.models[0].name])
        return made.path

    def as_dict(self) -> dict[str, Any]:
        """As in serve.json."""
        return {
            "model": self.source.ref,
            "fingerprint": self.source.fingerprint,
            "names": [model.name for model in self.models],
            "engine": self.engine.name,
            "context": self.engine.context,
            "slots": self.engine.slots,
            "files": {name: str(path) for name, path in self.files.items()},
        }


async def open_served(spec: ServeSpec, ctx: Context) -> Served:
    """Make the files that the engine needs, start it, and load the tokenizers.

    Errors: AskError `ask.wrong-value` for adapters that do not fit; those of the stage `gguf`; RunError
    `run.engine-failed`.
    """
    source = ctx.input("model")
    adapters = {name: ctx.input(f"adapters.{name}") for name in spec.adapters}
    _refuse_reward_model(source)
    if source.kind == "adapter" and adapters:
        fix = f"serve its base, with --adapters NAME={source.ref} too"
        raise AskError("ask.wrong-value", f"adapters need a model that is no adapter, and {source.ref} is one", fix)
    name, kind = spec.name or short_name(source.ref), chosen_engine(spec, source, ctx)
    read_settings(spec, kind, source, adapters.values())
    ctx.check_settings()
    tokenizer = await asyncio.to_thread(tokenizer_of, source, ctx.emit)
    models = [ServedModel(name, tokenizer)]
    models += [ServedModel(one, _tokenizer(value, tokenizer), adapter=one) for one, value in adapters.items()]
    engine, files = await asyncio.to_thread(_engine, spec, ctx, kind, source, adapters, models)
    for model, value in zip(models, (source, *adapters.values()), strict=True):
        model.fingerprint = served_fingerprint(spec, engine.name, source, value)
    await _open(engine, ctx)
    if engine.name == "llama.cpp" and engine.slots < spec.parallel:
        reason = f"memory for {engine.slots} of {spec.parallel} requests of {engine.context:,} tokens is free"
        ctx.emit(Chosen(field="parallel", value=engine.slots, reason=reason))
    if spec.context is None:
        ctx.emit(Chosen(field="context", value=engine.context, reason="the model's, at most 8,192"))
    return Served(engine, models, source, files, spec, ctx)


def _refuse_reward_model(source: Input) -> None:
    if is_adapter(source.path) and is_reward_adapter(source.path):
        raise AskError("ask.wrong-kind", f"{source.ref} is a reward model, and writes no text", "serve another model")


def served_fingerprint(spec: ServeSpec, engine: str, *sources: Input) -> str:
    """What answers depend on: the model and the adapter with the models below them, the engine, and its types."""
    links = [[value.fingerprint, value.content] for source in sources for value in _with_inputs(source)]
    values = spec.__dict__  # not a use of these settings
    settings = [engine, values["gguf_type" if engine == "llama.cpp" else "dtype"], list(values["vllm_args"])]
    return f"fp_{of_value([links, settings])[:32]}"


def _with_inputs(source: Input) -> Iterator[Input]:
    yield source
    if source.base is not None:
        yield from _with_inputs(source.base)


async def _open(engine: ServedEngine, ctx: Context) -> None:
    """Start the engine; a stop that is requested meanwhile ends it. Errors: RunError `run.interrupted`."""
    opening = asyncio.create_task(engine.open())
    while not (await asyncio.wait([opening], timeout=0.1))[0]:
        if ctx.stopping:
            opening.cancel()
            await asyncio.wait([opening])
            raise RunError("run.interrupted", "stopped before the engine was ready", "run the same command again")
    opening.result()


def _engine(
    spec: ServeSpec,
    ctx: Context,
    kind: EngineKind,
    source: Input,
    adapters: Mapping[str, Input],
    models: Sequence[ServedModel],
) -> tuple[ServedEngine, dict[str, Path]]:
    """The engine, to be opened, and the files that it reads, by name."""
    name, log = models[0].name, ctx.scratch.parent / "engine.log"
    limits = Limits(start=spec.start_seconds)

    def report(text: str) -> None:
        ctx.emit(Note(level="warning", text=text))

    if kind == "llama":
        made = model_file(spec, ctx, source)
        _replay(ctx, models[0], made.certificate, made.path)
        loras: dict[str, Path] = {}
        for model, adapter in zip(models[1:], adapters.values(), strict=True):
            lora = adapter_file(spec, ctx, adapter, source)
            _replay(ctx, model, lora.certificate, made.path)
            loras[model.name] = lora.path
        settings: dict[str, Any] = {"context": spec.context, "slots": spec.parallel, "threads": _threads(spec)}
        engine = llama_engine(made.path, log, adapters=loras, limits=limits, report=report, **settings)
        return engine, {name: made.path, **loras}
    for model, value in zip(models, (source, *adapters.values()), strict=True):
        _replay(ctx, model, _certificate(value))
    if kind == "transformers":
        if adapters:
            fix = "use engine: llama, or serve each adapter alone"
            raise AskError("ask.wrong-value", "transformers serves one model, without further adapters", fix)
        settings = {"context": spec.context, "threads": _threads(spec)}
        engine = transformers_engine(source, log, limits=limits, report=report, **settings)
        return engine, {name: source.path}
    folders = {one: adapter_folder(value, source, ctx) for one, value in adapters.items()}
    if source.kind == "adapter":  # on its base, under the name of the model
        folders = {name: adapter_folder(source, source, ctx)}
        models[0].adapter = name
    base, served = folder_of(whole_model(source)), f"{name}-base" if name in folders else name
    ranks = [rank_of(read_json(folder / ADAPTER_CONFIG)) for folder in folders.values()]
    engine = VllmEngine(
        vllm_program(ctx),
        base,
        served,
        log,
        adapters=folders,
        limits=limits,
        report=report,
        context=spec.context,
        loads_adapters=spec.load_adapters,
        rank=max([16, *ranks]),
        dtype=spec.dtype,
        tensor_parallel=spec.tensor_parallel,
        more=tuple(spec.vllm_args),
    )
    return engine, {served: base, **folders}


def _threads(spec: ServeSpec) -> int:
    return usable_cores() if spec.threads == "auto" else spec.threads


def adapter_folder(adapter: Input, source: Input, ctx: Context) -> Path:
    """An adapter as PEFT saves it, for vLLM, which puts it on the whole model of `source`.

    Errors: AskError for a GGUF file; ModelError `model.wrong-adapter`; `model.unsupported` for what vLLM does not load.
    """
    if adapter.kind == "gguf-adapter":
        raise AskError("ask.wrong-kind", f"vLLM reads no GGUF adapters, as {adapter.ref} is", "use the adapter itself")
    why = reason_not_loaded(read_json(adapter.path / ADAPTER_CONFIG))
    if _is_on_an_adapter(adapter):
        why = "an adapter on an adapter"
    if why:
        fix = f"merge it: burnish merge --model {adapter.ref}; or use engine: llama"
        raise ModelError("model.unsupported", f"vLLM does not load {why}, as {adapter.ref} is", fix)
    check_base(adapter.path, folder_of(whole_model(source)))
    if read_quantization(adapter.path) is not None:
        text = f"{adapter.ref} was trained on a base in 4 bits, and vLLM puts it on the original weights"
        ctx.emit(Note(level="warning", text=f"{text}: burnish merge --into dequantized is closer to what was trained"))
    return adapter.path


def _is_on_an_adapter(adapter: Input) -> bool:
    """Whether its base is an adapter, as its artifact says, or its config by the name of a folder."""
    if adapter.base is not None:
        return is_adapter(adapter.base.path)
    named = read_json(adapter.path / ADAPTER_CONFIG).get("base_model_name_or_path")
    return isinstance(named, str) and any(is_adapter(one) for one in (Path(named), adapter.path / named))


def model_file(spec: ServeSpec, ctx: Context, source: Input) -> CachedFile:
    """The GGUF file of the model, with its certificate: itself, or one of the cache."""
    if source.kind == "gguf":
        return CachedFile(gguf_file(source.path), _certificate(source))
    return cached_gguf(ctx, source, spec.gguf_type, certify=spec.certify)


def _certificate(source: Input) -> Mapping[str, Any] | None:
    """That of an artifact, if it has one."""
    artifact = artifact_at(source)
    return None if artifact is None else artifact.certificate


def _replay(ctx: Context, model: ServedModel, certificate: Mapping[str, Any] | None, file: Path | None = None) -> None:
    """Compare the ids of golden conversations with those of the certificate, and of llama.cpp with that GGUF file."""
    if file is None:
        ctx.emit(Note(text=replay(model, certificate)))
        return
    theirs = GgufSubject(file, "", "", model.tokenizer, vocabulary_only=True)
    try:
        ctx.emit(Note(text=replay(model, certificate, theirs.ids)))
    finally:
        theirs.close()


def adapter_file(spec: ServeSpec, ctx: Context, adapter: Input, source: Input) -> CachedFile:
    """The GGUF file of an adapter. Errors: ModelError `model.wrong-adapter` for one of another base."""
    _check_base_of_file(ctx, adapter, source)
    if adapter.kind == "gguf-adapter":
        return CachedFile(gguf_file(adapter.path), _certificate(adapter))
    return cached_gguf(ctx, adapter, "F32", certify=spec.certify, form="lora")


def _check_base_of_file(ctx: Context, adapter: Input, source: Input) -> None:
    """Refuse an adapter of another base than the model: llama.cpp compares shapes only.

    What a GGUF file was made of is the input of its artifact; without one, a warning.
    """
    own = adapter.inputs.get("model") if adapter.kind == "gguf-adapter" else adapter
    model = source.inputs.get("model") if source.kind == "gguf" else source
    if model is not None and is_adapter(model.path):
        what = f"{source.ref} is {model.ref} merged into its base, and {adapter.ref} was not trained on that"
        raise ModelError("model.wrong-adapter", what, "serve the base, and each adapter by a name of its own")
    if own is None or model is None or not (own.path.is_dir() and model.path.is_dir()):
        text = f"{adapter.ref}: there is no record that {source.ref} is its base, so that is not checked"
        ctx.emit(Note(level="warning", text=text))
        return
    if own.base is None or not model.content or own.base.content != model.content:
        check_base(own.path, model.path)


def _tokenizer(adapter: Input, of_model: Any) -> Any:
    """The tokenizer of an adapter; a file of LoRA alone has none, and gets the model's."""
    return of_model if adapter.kind == "gguf-adapter" else load_tokenizer(tokenizer_folder(adapter))


def _resolved(reference: str, ctx: Context) -> Input:
    workspace = Workspace(ctx.cache.parents[1])
    value = fetched(resolve(reference, ADAPTER_KINDS, workspace, workspace.hashes()))
    check_kind(value, ADAPTER_KINDS, "the adapter")
    return value
