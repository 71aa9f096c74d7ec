"""quantize: round the weights of a model, or of an adapter on its base, to 4 or 8 bits."""

import json
import random
from pathlib import Path
from typing import Any

import torch

from burnish.core.context import Context, Input, Outcome, StopRequestedError
from burnish.core.errors import AskError, ModelError, RunError
from burnish.core.events import Chosen, Note
from burnish.core.files import file_size
from burnish.core.inputs.references import fetched
from burnish.core.processes import usable_cores
from burnish.data.dataset import open_rows, split_of
from burnish.evals.certificates.rows import held_out_rows
from burnish.evals.certificates.subject import LocalSubject
from burnish.export.quantize import environment as environments
from burnish.export.quantize.container import OF_DOCKER, Container, inside
from burnish.export.quantize.environment import Installing
from burnish.export.quantize.job import Job, local_command, run_job
from burnish.export.quantize.layers import Layers, group_size, layers_of
from burnish.export.quantize.nf4 import write_nf4
from burnish.export.quantize.record import NAME, Metadata
from burnish.models.bases import is_adapter, tokenizer_folder
from burnish.models.companions import copy_companions
from burnish.models.device import pick_device
from burnish.models.quantization.compressed import check_package
from burnish.models.reward import is_reward_adapter
from burnish.models.weights import weight_files
from burnish.specs.ship import QuantizeSpec
from burnish.specs.ship.quantize import IN_GROUPS, written
from burnish.stages.models.certifying import certify_output
from burnish.stages.models.merge import plain
from burnish.tokens.load import load_tokenizer

_CHANGES = {"gptq": "GPTQ", "awq": "AWQ", "rtn": "W4A16"}
"""Kinds of change by method, for 4 bits; others are named by their scheme."""


def run(spec: QuantizeSpec, ctx: Context) -> Outcome:
    """Write the model with its tokenizer, and metadata.json; on failure that file stays in the run's scratch folder."""
    source = ctx.input("model")
    if is_adapter(source.path) and is_reward_adapter(source.path):
        what = f"{source.ref} is a reward model, whose scores no certificate compares"
        raise ModelError("model.unsupported", what, "use it as it is")
    certifies, is_nf4 = spec.certify, spec.method == "nf4"
    if certifies and not is_nf4:
        check_package()  # the result is loaded here after hours of work
    data = _calibration(spec, ctx, source)
    scheme = written(spec.method, spec.scheme)
    folder = ctx.scratch / "quantize"
    folder.mkdir(exist_ok=True)
    base = plain(source, folder / "merged", "keep")
    layers = layers_of(base, spec.ignore, stacked=not is_nf4)
    size = group_size(layers, spec.group_size) if scheme in IN_GROUPS else None
    _tell(layers, scheme, size, spec, ctx)
    metadata = Metadata(ctx.scratch / NAME, {"method": spec.method, "scheme": scheme, "group_size": size})
    device = pick_device(spec.device)
    try:
        if is_nf4:
            measures = dict[str, Any]()
            double = spec.double
            ctx.check_settings()
            metadata.ran_here(write_nf4(base, ctx.out, layers, double=double, device=device))
        else:
            measures = _by_llm_compressor(spec, ctx, folder, base, layers, scheme, size, data, metadata, device)
    except StopRequestedError:
        error = RunError("run.interrupted", "the run was stopped before the quantization", "run it again")
        metadata.close(error)
        raise error from None
    except BaseException as error:
        metadata.close(error)
        raise
    tokenizer = tokenizer_folder(source)
    for companions in dict.fromkeys((base, tokenizer)):
        copy_companions(companions, ctx.out)
    metadata.close()
    (ctx.out / NAME).write_bytes(metadata.path.read_bytes())
    written_bytes = sum(file.stat().st_size for file in weight_files(ctx.out))
    before = sum(file.stat().st_size for file in weight_files(base))
    ctx.emit(Note(text=f"{file_size(written_bytes)} of weights instead of {file_size(before)}"))
    measures |= {"bytes": written_bytes, "bytes_before": before, "layers": len(layers.columns)}
    if not certifies:
        return Outcome("model", measures)

    def child(parent: LocalSubject) -> LocalSubject:
        return LocalSubject(ctx.out, "", "", device, torch.float32)

    change = change_of(spec.method, scheme)
    return Outcome("model", measures, certificate=certify_output(ctx, source, change, child, data))


def change_of(method: str, scheme: str) -> str:
    """The kind of change, as certificates name it."""
    return _CHANGES[method] if scheme in IN_GROUPS else scheme.removesuffix("_DYNAMIC")


def _calibration(spec: QuantizeSpec, ctx: Context, source: Input) -> Input | None:
    """The calibration data: the input, or that of the model's training. Errors: AskError `ask.missing-key`."""
    if spec.data is not None:
        return ctx.input("data")
    data = source.inputs.get("data")
    if spec.method not in ("gptq", "awq", "smoothquant"):
        return data
    if data is None:
        raise AskError(
            "ask.missing-key",
            f"method: {spec.method} calibrates on data, and {source.ref} names no data of its training",
            "give data: a prepared dataset or a file of rows such as those that the model will see",
        )
    ctx.emit(Chosen(field="data", value=data.ref, reason="the model's training data"))
    return data


def _tell(layers: Layers, scheme: str, size: int | None, spec: QuantizeSpec, ctx: Context) -> None:
    if size is not None and spec.group_size == "auto":
        ctx.emit(Chosen(field="group_size", value=size, reason="it divides the columns of all layers"))
    total = layers.parameters + layers.others
    text = f"{len(layers.columns)} linear layers become {scheme}; {layers.others / total:.0%} of {total:,} parameters"
    ctx.emit(Note(text=f"{text} stay as they are: embedding, head and norms"))
    if layers.has_experts and scheme == "NF4":
        text = "the stacked weights of experts are not quantized: bitsandbytes has no layer for them"
        ctx.emit(Note(level="warning", text=text))
    elif layers.has_experts:
        text = "the model has experts: all of them see all calibration tokens, and routers are not quantized"
        ctx.emit(Note(level="warning", text=f"{text}; it is loaded with a layer for each expert, which takes memory"))


def _by_llm_compressor(
    spec: QuantizeSpec,
    ctx: Context,
    folder: Path,
    base: Path,
    layers: Layers,
    scheme: str,
    size: int | None,
    data: Input | None,
    metadata: Metadata,
    device: torch.device,
) -> dict[str, Any]:
    if layers.has_experts and spec.environment in ("auto", "container"):
        raise ModelError(
            "model.unsupported",
            "llm-compressor needs torchvision to take experts apart, and its environment has none",
            "set environment to a Python that has llmcompressor and torchvision, or use burnish gguf",
        )
    settings = settings_of(spec)
    samples, measures = None, dict[str, Any]()
    if spec.method != "rtn":
        assert data is not None
        samples = folder / "samples.json"
        measures = _write_samples(spec, ctx, data, layers, samples)
    threads = usable_cores() if spec.threads == "auto" else spec.threads
    environment, timeout, install_timeout = spec.environment, spec.timeout, spec.install_timeout
    report = folder / "report.json"
    job = Job(base, ctx.out, report, samples, spec.method, scheme, size, layers.ignored, settings, spec.seed, threads)
    ctx.check_settings()
    made = Installing(folder / "install.log", ctx.emit, lambda: ctx.stopping, install_timeout)
    container, uses_gpu = None, device.type == "cuda"
    try:
        if environment == "container":
            container = Container.for_job(uses_gpu, folder)
            inside(job).write(folder / "job.json")
            command = container.command(job, folder)
        else:
            python = environments.environment(made) if environment == "auto" else environments.own_python(environment)
            job.write(folder / "job.json")
            command = local_command(python, folder)
    except BaseException:
        metadata.runs_in(environment, made.command)
        metadata.ended(made.ended, made.log)
        raise
    try:
        run_job(
            command,
            job,
            folder,
            metadata,
            emit=ctx.emit,
            is_stopping=lambda: ctx.stopping,
            timeout=timeout,
            uses_gpu=uses_gpu,
            passed=OF_DOCKER if container is not None else (),
        )
    finally:
        if container is not None:
            container.remove()
    return measures


def settings_of(spec: QuantizeSpec) -> dict[str, Any]:
    """The settings of the method, by the names of the launcher."""
    match spec.method:
        case "gptq":
            return {"damping": spec.damping, "act_order": spec.act_order}
        case "awq":
            return {"grid": spec.grid, "duo_scaling": spec.duo_scaling}
        case "smoothquant":
            return {"smoothing": spec.smoothing, "damping": spec.damping}
        case _:
            return {}


def _write_samples(spec: QuantizeSpec, ctx: Context, data: Input, layers: Layers, path: Path) -> dict[str, Any]:
    """Draw calibration rows, render them, and write their ids. Errors: AskError `ask.nothing-to-do` if none is left."""
    tokenizer, data = load_tokenizer(tokenizer_folder(ctx.input("model"))), fetched(data)
    split = split_of(data, spec.split)
    drawn = _drawn(open_rows(data, split), spec.samples, spec.seed, ctx)
    ids, left_out = held_out_rows(tokenizer, drawn, spec.max_length)
    for why, sources in left_out.items():
        text = f"{len(sources)} calibration rows left out, the first is {sources[0]}: {why}"
        ctx.emit(Note(level="warning", text=text))
    if not ids:
        raise AskError("ask.nothing-to-do", f"no row of {data.ref} is left to calibrate on", "see the warnings")
    tokens, columns = sum(map(len, ids)), max(layers.columns.values())
    ctx.emit(Note(text=f"calibrating on {len(ids):,} rows of {data.ref} with {tokens:,} tokens"))
    if tokens < columns:
        text = f"{tokens:,} calibration tokens are fewer than the {columns:,} columns of a layer: use more samples"
        ctx.emit(Note(level="warning", text=text))
    path.write_text(json.dumps(ids), encoding="utf-8")
    return {"samples": len(ids), "calibration_tokens": tokens}


def _drawn(rows: Any, most: int, seed: int, ctx: Context) -> list[Any]:
    """`most` rows drawn at random, in their order; one pass, of which memory holds only the drawn ones."""
    drawing, held = random.Random(seed), list[tuple[int, Any]]()
    for number, row in enumerate(rows):
        if ctx.stopping:
            raise StopRequestedError
        if len(held) < most:
            held.append((number, row))
        elif (place := drawing.randrange(number + 1)) < most:
            held[place] = (number, row)
    return [row for _, row in sorted(held, key=lambda pair: pair[0])]
