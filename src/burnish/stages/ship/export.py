"""export: write a folder that other tools read, from a model or an adapter, with a model card."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from burnish.core.catalog import stages
from burnish.core.context import Context, Input, Outcome, walk
from burnish.core.errors import AskError, BurnishError, ModelError
from burnish.core.events import Note, Progress
from burnish.core.files import write_json
from burnish.core.fingerprint import BASE_RECORD, QUANTIZATION_RECORD
from burnish.core.runs.run import run_of_output
from burnish.core.runs.workspace import Workspace
from burnish.evals.certificates.change import change_of
from burnish.export.folder.card import Card
from burnish.export.folder.demands import write_notices
from burnish.export.folder.facts import Facts, facts_of
from burnish.export.folder.push import check_token
from burnish.export.folder.recipe import public_reference
from burnish.export.folder.snippets import Runnable
from burnish.export.gguf.shapes import SHAPES
from burnish.models.adapters.attach import adapter_weights, fit_adapter, name_of_base, read_adapter
from burnish.models.bases import base_of, chain_of, folder_of, is_adapter, tokenizer_folder, whole_model
from burnish.models.companions import copy_companions, copy_notices
from burnish.models.layout import skeleton_of
from burnish.models.load import describe, read_config
from burnish.models.merge import rewrite_model
from burnish.models.reward import add_score_head, is_reward_adapter
from burnish.models.weights import ADAPTER_CONFIG, ADAPTER_WEIGHTS, read_json
from burnish.specs.models import MergeSpec
from burnish.specs.ship import ExportSpec
from burnish.stages.models import merge
from burnish.stages.models.certifying import certify_output
from burnish.stages.ship.names import model_name

_OFF = "certify was off"
_NO_NEXT_TOKEN = "it is no language model, and has no next token to compare"
_NOT_COMPARED = "it could not be compared on this machine, as the run reports"


def run(spec: ExportSpec, ctx: Context) -> Outcome:
    """Write weights, config, tokenizer, licence files and README.md; a folder that is not the model is not kept."""
    source = ctx.input("model")
    certifies, title = spec.certify, spec.title or model_name(source)
    evaluations = {name: ctx.input(f"evaluations.{name}") for name in spec.evaluations}
    if spec.push_to is not None:
        check_token()
        repo = spec.push_to.removeprefix("hub:").partition("@")[0]
        where = f"{'private' if spec.private else 'public'} repository {repo}"
        ctx.emit(Note(text=f"the folder is uploaded to the {where} once it is certified{_as(spec.commit_message)}"))
    if spec.form == "adapter":
        outcome, why = _adapter(spec, source, ctx, certifies), _OFF
    elif is_adapter(source.path):
        settings = MergeSpec(
            model=spec.model, dtype=spec.dtype, max_shard_bytes=spec.max_shard_bytes, certify=certifies
        )
        outcome, why = merge.run(settings, ctx), _OFF if not certifies else _NOT_COMPARED
    else:
        outcome, why = _model(spec, source, ctx, certifies)
    if certifies and outcome.certificate is None and why == _OFF:
        why = _NOT_COMPARED
    facts = facts_of(source, _workspace(ctx, source), evaluations)
    _copy_notices(source, ctx.out)
    lacking = write_notices(ctx.out, facts.licences, title)
    for text in lacking:
        ctx.emit(Note(level="warning", text=f"the licence of the base asks for {text}"))
    given = facts.steps.spec(spec.model_dump(mode="json", exclude_unset=True), ctx.inputs)
    card = _card(ctx.out, source, facts, title, outcome.certificate, why, given, lacking)
    (ctx.out / "README.md").write_text(card.text(), encoding="utf-8")
    for text in facts.left_out:
        ctx.emit(Note(level="warning", text=f"the card leaves out: {text}"))
    names = ", ".join(path.name for path in sorted(ctx.out.iterdir()))
    ctx.emit(Note(text=f"{names}; the card has {len(facts.scores)} scores, and says what is unknown"))
    return outcome


def _model(spec: ExportSpec, source: Input, ctx: Context, certifies: bool) -> tuple[Outcome, str]:
    """A whole model, in shards and a dtype of choice; a quantized one as it is."""
    config = read_config(source.path)
    dtype = "keep" if spec.dtype == "auto" else spec.dtype
    most = spec.max_shard_bytes
    if "quantization_config" in config and dtype != "keep":
        what = f"dtype: {dtype} cannot be that of {source.ref}: its weights are quantized"
        raise AskError("ask.wrong-value", what, "remove dtype, or export the model that was quantized")
    ctx.check_settings()

    def progress(done: int, total: int) -> None:
        ctx.emit(Progress(phase="export", done=done, total=total, unit="tensors"))

    written = rewrite_model(source.path, ctx.out, dtype=dtype, max_shard_bytes=most, progress=progress)
    measures = {"parameters": written.parameters, "weight_files": written.files}
    if not certifies:
        return Outcome("model", measures), _OFF
    if _kind(config) != "causal":
        ctx.emit(Note(level="warning", text=f"the folder is not certified: {_NO_NEXT_TOKEN}"))
        return Outcome("model", measures), _NO_NEXT_TOKEN
    change = "same" if dtype == "keep" else change_of(source, ctx.out)
    return Outcome("model", measures, certificate=certify_output(ctx, source, change)), _NOT_COMPARED


def _adapter(spec: ExportSpec, source: Input, ctx: Context, certifies: bool) -> Outcome:
    """An adapter as PEFT reads it: its config names the base by its name on the hub where it has one."""
    if not is_adapter(source.path):
        raise AskError("ask.wrong-value", f"form: adapter is for adapters, and {source.ref} is a model", "remove form")
    ctx.check_settings()
    weights = adapter_weights(source.path)
    if weights.name != ADAPTER_WEIGHTS:
        raise ModelError(
            "model.pickle", f"{weights} is no safetensors file", "save the adapter again with a newer PEFT"
        )
    _check_adapter(source)
    shutil.copyfile(weights, ctx.out / ADAPTER_WEIGHTS)
    if (source.path / QUANTIZATION_RECORD).is_file():
        shutil.copyfile(source.path / QUANTIZATION_RECORD, ctx.out / QUANTIZATION_RECORD)
    if record := _json(source.path / BASE_RECORD):
        write_json(ctx.out / BASE_RECORD, {**record, "base": public_reference(str(record.get("base", "")))})
    if tokenizer_folder(source) != source.path:
        copy_companions(tokenizer_folder(source), ctx.out)
    copy_companions(source.path, ctx.out)
    base = base_of(source)
    config = {**read_json(source.path / ADAPTER_CONFIG), **name_of_base(base), "inference_mode": True}
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (ctx.out / ADAPTER_CONFIG).write_text(text, encoding="utf-8")
    if Path(str(config["base_model_name_or_path"])).exists():
        text = f"{ADAPTER_CONFIG} names the base by its folder here: others need a base on a hub, or form: model"
        ctx.emit(Note(level="warning", text=text))
    measures = {"bytes": weights.stat().st_size}
    if not certifies:
        return Outcome("adapter", measures)
    return Outcome("adapter", measures, certificate=certify_output(ctx, source, "same"))


def _check_adapter(source: Input) -> None:
    """Errors: those of loading it: names and shapes that do not fit its base, and values that are not finite."""
    base = folder_of(base_of(source))
    if not is_adapter(base):  # an adapter on another one is checked by its certificate
        skeleton = skeleton_of(base, read_config(base))
        if is_reward_adapter(source.path):
            add_score_head(skeleton)
        fit_adapter(skeleton, source.path)
    read_adapter(source.path)


def _card(
    folder: Path,
    source: Input,
    facts: Facts,
    title: str,
    certificate: Mapping[str, Any] | None,
    why: str,
    given: Mapping[str, Any],
    lacking: list[str],
) -> Card:
    """The card of what lies in `folder`."""
    as_adapter = is_adapter(folder)
    config = read_config(folder_of(whole_model(source)) if as_adapter else folder)
    model = describe(folder) if not as_adapter else None
    reward = as_adapter and is_reward_adapter(folder)
    architecture = next(iter(config.get("architectures") or ()), "")
    runnable = Runnable(
        kind="reward" if reward else _kind(config),
        architecture=str(architecture),
        has_template=(folder / "chat_template.jinja").is_file()
        or "chat_template" in _json(folder / "tokenizer_config.json"),
        has_tokenizer=(folder / "tokenizer_config.json").is_file(),
        is_adapter=as_adapter,
        is_quantized="quantization_config" in config,
        base=facts.base.hub if len(chain_of(source)) <= 2 else "",
        adapter=_json(folder / ADAPTER_CONFIG),
        gguf=config["model_type"] in SHAPES,
        stages=frozenset(stages()),
    )
    if model is None:
        parameters, dtype = _adapter_size(folder)
    else:
        parameters, dtype = model.parameters, model.dtype
    return Card(title, facts, runnable, parameters, dtype, certificate, why, given, lacking)


def _adapter_size(folder: Path) -> tuple[int, str]:
    from burnish.models.weights import read_header

    tensors = list(read_header(folder / ADAPTER_WEIGHTS))
    return sum(tensor.size for tensor in tensors), tensors[0].dtype if tensors else ""


def _kind(config: Mapping[str, Any]) -> str:
    """What a model is by the class in its config: `causal`, `reward`, `masked`, or `other`."""
    names = [str(name) for name in config.get("architectures") or ()]
    if any(name.endswith("ForSequenceClassification") for name in names):
        return "reward"
    if any(name.endswith("ForMaskedLM") for name in names):
        return "masked"
    is_causal = not names or any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names)
    return "causal" if is_causal else "other"


def _as(message: str | None) -> str:
    return "" if message is None else f", as '{message}'"


def _workspace(ctx: Context, source: Input) -> Workspace:
    """That of the run that made the source, else the one that this run is in."""
    run = run_of_output(source.path)
    return Workspace(run.workspace if run is not None else ctx.cache.parents[1])


def _copy_notices(source: Input, out: Path) -> None:
    """Copy the licence and notice files of all models below, the nearest first."""
    for folder in _folders(source):
        copy_notices(folder, out, "adapter" if is_adapter(folder) else "base")


def _folders(source: Input) -> Iterator[Path]:
    yield from (folder_of(link) for link in chain_of(source))
    for value in walk(source.inputs):
        if value.kind in ("model", "adapter") and value.path.is_dir():
            yield value.path


def _json(path: Path) -> dict[str, Any]:
    try:
        found: Any = read_json(path)
    except (OSError, ValueError, BurnishError):
        return {}
    return found if isinstance(found, dict) else {}
