"""Packages with the names of the quantizer's, as tiny wheels, and what an environment of them does to a model.

The model is copied as it is, so that its certificate holds. `TORCH_STAND_IN` in the environment, whose start is one
that is passed on, names a fault: fail, hang, kill, memory, disk, load, exit, half.
"""

import os
import signal
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

VERSIONS = {"torch": "2.13.0", "transformers": "5.17.0", "compressed-tensors": "0.19.0", "llmcompressor": "0.14.0"}
FILES = {
    "torch": {
        "torch/__init__.py": """
from torch import utils
long = int
class accelerator:
    is_available = staticmethod(lambda: False)
set_num_threads = manual_seed = lambda n: None
tensor = lambda rows: rows
ones = lambda *shape, dtype: shape
""",
        "torch/utils/__init__.py": "from torch.utils import data\n",
        "torch/utils/data.py": "DataLoader = lambda rows, batch_size: rows\n",
    },
    "transformers": {
        "transformers/__init__.py": """
import os, shutil
class AutoModelForCausalLM:
    def __init__(self, folder): self.folder = folder
    @classmethod
    def from_pretrained(cls, folder, **settings):
        if os.environ.get("TORCH_STAND_IN") == "load": raise ValueError("the family is too new")
        return cls(folder)
    def save_pretrained(self, out, **settings):
        if os.environ.get("TORCH_STAND_IN") == "half":
            open(out + "/model.safetensors", "w").write("half")
            os._exit(3)
        for name in ("config.json", "model.safetensors"):
            shutil.copyfile(f"{self.folder}/{name}", f"{out}/{name}")
"""
    },
    "compressed-tensors": {
        "compressed_tensors/__init__.py": "",
        "compressed_tensors/quantization.py": """
class Scheme:
    class weights: group_size = 128
preset_name_to_scheme = lambda name, targets: Scheme()
""",
    },
    "llmcompressor": {
        "llmcompressor/__init__.py": """
import os, signal, subprocess, sys, time
def oneshot(model, processor, recipe, dataset=()):
    assert recipe, recipe
    rows = list(dataset)
    print(f"{len(rows)} samples, {sum(len(row['input_ids'][0]) for row in rows)} tokens")
    for block in (1, 2):
        print(f"({block}/2): Calibrating: 100%|##########| 4/4 [00:00<00:00]", end="\\r", flush=True)
    fault = os.environ.get("TORCH_STAND_IN")
    if fault == "fail": raise ValueError("this layer cannot be quantized")
    if fault == "memory": raise MemoryError("cannot hold the Hessian")
    if fault == "disk": raise OSError(28, "No space left on device")
    if fault == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if fault == "exit": os._exit(0)
    if fault == "hang":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        open(os.environ["TORCH_STAND_IN_PIDS"], "w").write(f"{os.getpid()} {child.pid}")
        time.sleep(600)
""",
        "llmcompressor/modifiers/__init__.py": "",
        "llmcompressor/modifiers/gptq.py": "GPTQModifier = dict\n",
        "llmcompressor/modifiers/quantization.py": "QuantizationModifier = dict\n",
        "llmcompressor/modifiers/transform/__init__.py": "",
        "llmcompressor/modifiers/transform/awq.py": "AWQModifier = dict\n",
        "llmcompressor/modifiers/transform/smoothquant.py": "SmoothQuantModifier = dict\n",
        "llmcompressor/pipelines/__init__.py": "",
        "llmcompressor/pipelines/cache.py": """
class IntermediatesCache:
    def pin_memory(self, *given): raise RuntimeError("no accelerator")
""",
        "llmcompressor/modeling/__init__.py": "",
        "llmcompressor/modeling/moe/__init__.py": "",
        "llmcompressor/modeling/moe/linearize.py": """
from contextlib import nullcontext
load_quantizable_moe = nullcontext
""",
    },
}


def make_wheels(folder: Path, packages: Mapping[str, Mapping[str, str]] = FILES) -> Path:
    """The wheels, and a constraints.txt that pins those of llm-compressor; returns the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, files in packages.items():
        plain, version = name.replace("-", "_"), VERSIONS.get(name, "1")
        about = f"{plain}-{version}.dist-info"
        needs = "".join(f"Requires-Dist: {other}\n" for other in VERSIONS if other != name)
        metadata = (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs if name == 'llmcompressor' else ''}"
        )
        tags = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        written = {**files, f"{about}/METADATA": metadata, f"{about}/WHEEL": tags}
        written[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in [*written, f"{about}/RECORD"])
        with zipfile.ZipFile(folder / f"{plain}-{version}-py3-none-any.whl", "w") as wheel:
            for path, text in written.items():
                wheel.writestr(path, text)
    constraints = folder / "constraints.txt"
    if packages is FILES:
        pins = "".join(f"{name}=={version}\n" for name, version in VERSIONS.items())
        constraints.write_text("# stand-ins\n" + pins)
    return constraints


def use_wheels(monkeypatch: pytest.MonkeyPatch, wheels: Path, cache: Path) -> None:
    """Let pip find these wheels alone, and environments be made in `cache`."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("BURNISH_CACHE", str(cache))


def waited_for(path: Path) -> str:
    """The text of a file that another process writes."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if path.is_file() and path.read_text():
            return path.read_text()
        time.sleep(0.05)
    raise AssertionError(f"{path} was not written")


def ends(pid: int) -> bool:
    """Whether a process ends soon; one that does not is killed."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z":
            return True
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    return False
