"""The writer of GGUF files: memory stays that of the largest weight, and a file is what its header says."""

import subprocess
import sys

import gguf
import numpy as np
import pytest

from burnish.models.load import describe
from burnish.testing import tiny_model
from certified import make_adapter
from gguf_files import written

MEASURE = """
import re, sys
from pathlib import Path
from gguf_files import written

def peak():  # getrusage would start from the peak of the process that started this one
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

small, large, folder = map(Path, sys.argv[1:])
written(small, folder / "small.gguf", "Q4_K_M")  # everything is imported and warm
before = peak()
written(large, folder / "large.gguf", "Q4_K_M")
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_bounded_by_the_largest_weight(tmp_path):
    """An adapter on 12 layers, 152 MB in one file, 3 MB the largest weight; no merged model is on disk either."""
    small = tiny_model(tmp_path / "small")
    sizes = {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 12, "head_dim": 128}
    large = tiny_model(tmp_path / "large", **sizes)
    adapters = [make_adapter(base, tmp_path / f"on-{base.name}") for base in (small, large)]
    size, largest = describe(large).bytes, 512 * 1536 * 4
    command = [sys.executable, "-c", MEASURE, *adapters, tmp_path]

    grown = int(subprocess.run(command, check=True, capture_output=True, text=True, env=environment()).stdout)

    assert size > 120e6
    assert grown < 5 * largest + 15e6 < size / 4
    assert (tmp_path / "large.gguf").stat().st_size < size / 5


def environment():
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.parametrize("kind", ["F16", "Q8_0"])
def test_a_file_is_what_its_header_says(tmp_path, kind):
    base = tiny_model(tmp_path / "base", tie_word_embeddings=True)
    file, plan = written(base, tmp_path / "x.gguf", kind)
    reader = gguf.GGUFReader(file)
    assert [tensor.name for tensor in reader.tensors] == [source.name for source in plan.sources]
    for tensor, source in zip(reader.tensors, plan.sources, strict=True):
        assert tuple(reversed(tensor.shape.tolist())) == source.shape
    last = reader.tensors[-1]
    assert file.stat().st_size == last.data_offset + -(-last.n_bytes // 32) * 32
    assert ("general.quantization_version" in reader.fields) == (kind == "Q8_0")
    assert reader.fields["general.architecture"].contents() == "qwen3"
    assert np.isfinite(reader.tensors[0].data.astype(np.float32)).all()
