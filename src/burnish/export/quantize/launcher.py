"""Quantizes a model with llm-compressor: `python launcher.py job.json`, in an environment that has it.

Runs without burnish, from its folder or in a container: imports the standard library, and torch, transformers and
llmcompressor where they are used. What happens is printed; `report` of the job names the file for versions, phases,
times, memory and the error. Exit status: 0 if the model is complete, 2 for a job that cannot be read, else 1.
"""

# pyright: reportMissingImports=false

import json
import os
import resource
import sys
import time
import traceback
from pathlib import Path

KEYS = {
    "model": str,
    "out": str,
    "report": str,
    "samples": (str, type(None)),
    "method": str,
    "scheme": str,
    "group_size": (int, type(None)),
    "ignore": list,
    "settings": dict,
    "seed": int,
    "threads": int,
}
METHODS = {
    "gptq": ("damping", "act_order"),
    "awq": ("grid", "duo_scaling"),
    "smoothquant": ("smoothing", "damping"),
    "rtn": (),
}
PACKAGES = ("llmcompressor", "compressed-tensors", "transformers", "torch", "safetensors", "numpy")


class BadJobError(Exception):
    """The job lacks a value, or has one that is not of the expected type."""


class Report:
    """What happened so far, in a file that is complete at any time."""

    def __init__(self, path):
        self.path, self.values = Path(path), {"phases": [], "versions": {}, "error": None, "complete": False}
        self._began = time.time()
        self.values |= {"python": sys.version.split()[0], "executable": sys.executable, "started": self._began}
        self.write()

    def phase(self, name):
        """Print the name of what starts now."""
        self.values["phases"].append({"name": name, "at": round(time.time() - self._began, 3)})
        print(f"phase: {name}", flush=True)
        self.write()

    def write(self):
        self.values["seconds"] = round(time.time() - self._began, 3)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.values["peak_memory_bytes"] = peak if sys.platform == "darwin" else peak * 1024
        partial = self.path.with_name(f".{self.path.name}.part")
        partial.write_text(json.dumps(self.values, indent=2) + "\n", encoding="utf-8")
        os.replace(partial, self.path)


def read_job(path):
    """The job, checked. Errors: BadJobError."""
    try:
        job = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadJobError(f"{path} cannot be read: {error}") from None
    if not isinstance(job, dict):
        raise BadJobError(f"{path} is not a JSON object")
    for key, kind in KEYS.items():
        if key not in job:
            raise BadJobError(f"{path} has no '{key}'")
        if not isinstance(job[key], kind) or isinstance(job[key], bool):
            raise BadJobError(f"{path}: '{key}' is {job[key]!r}")
    if unknown := sorted(job.keys() - KEYS.keys()):
        raise BadJobError(f"{path} has an unknown key '{unknown[0]}'")
    if job["method"] not in METHODS:
        raise BadJobError(f"{path}: unknown method '{job['method']}'")
    if unknown := sorted(job["settings"].keys() - {*METHODS[job["method"]]}):
        raise BadJobError(f"{path}: '{unknown[0]}' is no setting of {job['method']}")
    if (job["samples"] is None) != (job["method"] == "rtn"):
        raise BadJobError(f"{path}: samples do not fit the method {job['method']}")
    return job


def versions():
    """The versions of the packages that decide the result."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def batches(path):
    """The token ids of each sample as a batch of one."""
    import torch

    rows = json.loads(Path(path).read_text(encoding="utf-8"))
    made = [
        {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)} for ids in rows
    ]
    return torch.utils.data.DataLoader(made, batch_size=None)  # pyright: ignore[reportArgumentType]


def recipe(job):
    """The modifiers of llm-compressor that a method stands for."""
    from compressed_tensors.quantization import preset_name_to_scheme
    from llmcompressor.modifiers.gptq import GPTQModifier
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from llmcompressor.modifiers.transform.awq import AWQModifier
    from llmcompressor.modifiers.transform.smoothquant import SmoothQuantModifier

    scheme, given = preset_name_to_scheme(job["scheme"], ["Linear"]), job["settings"]
    if job["group_size"] is not None and scheme.weights is not None:
        scheme.weights.group_size = job["group_size"]
    what = {"config_groups": {"group_0": scheme}, "ignore": job["ignore"]}
    if job["method"] == "rtn":
        return [QuantizationModifier(**what)]
    if job["method"] == "awq":
        return [AWQModifier(n_grid=given["grid"], duo_scaling=given["duo_scaling"]), QuantizationModifier(**what)]
    if job["method"] == "smoothquant":
        smooth = SmoothQuantModifier(smoothing_strength=given["smoothing"])
        return [smooth, GPTQModifier(**what, dampening_frac=given["damping"])]
    order = "static" if given["act_order"] else None
    return [GPTQModifier(**what, dampening_frac=given["damping"], actorder=order)]


def keep_off_pinned_memory():
    """AWQ pins its cached activations, which torch refuses on a machine without an accelerator."""
    import torch

    if not torch.accelerator.is_available():
        from llmcompressor.pipelines.cache import IntermediatesCache

        IntermediatesCache.pin_memory = lambda self, *given, **named: None


def quantize(job, report):
    """Load the model, quantize it, write it to the folder `out`."""
    report.phase("import")
    import torch
    from llmcompressor import oneshot
    from llmcompressor.modeling.moe.linearize import load_quantizable_moe
    from transformers import AutoModelForCausalLM

    report.values["versions"] = versions()
    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    keep_off_pinned_memory()
    report.phase("load")
    with load_quantizable_moe():
        model = AutoModelForCausalLM.from_pretrained(
            job["model"], dtype="auto", local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
    report.phase("quantize")
    data = {} if job["samples"] is None else {"dataset": batches(job["samples"])}
    oneshot(model=model, processor=object(), recipe=recipe(job), **data)
    report.phase("save")
    model.save_pretrained(job["out"], save_compressed=True)


def main(arguments):
    if len(arguments) != 1:
        print("usage: python launcher.py job.json", file=sys.stderr)
        return 2
    try:
        job = read_job(arguments[0])
    except BadJobError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    report = Report(job["report"])
    try:
        quantize(job, report)
    except BaseException as error:
        traceback.print_exc()
        report.values["error"] = {"type": type(error).__name__, "message": str(error)}
        report.write()
        return 1
    report.values["complete"] = True
    report.phase("done")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
