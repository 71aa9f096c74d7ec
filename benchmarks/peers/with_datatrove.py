"""datatrove's MinHash in its four stages: `with_datatrove.py ROWS OUT WORKERS [--filters] [--whitespace]`.

Without `--filters` JSON Lines come out; with it the rows pass its Gopher, C4 and FineWeb filters first, and Parquet
comes out. `--whitespace` splits words at white space, which is faster than its English tokenizer.
"""

import sys
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter, ParquetWriter
from datatrove.utils.word_tokenizers import WhitespaceTokenizer


def main() -> None:
    rows, out, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    words = WhitespaceTokenizer() if "--whitespace" in sys.argv else "eng"
    tasks = len(list(rows.glob("*.jsonl")))
    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)

    def run(name: str, count: int, *steps: object) -> None:
        LocalPipelineExecutor(
            pipeline=list(steps), tasks=count, workers=min(workers, count), logging_dir=str(out / "logs" / name)
        ).run()

    if "--filters" in sys.argv:
        filters = [GopherRepetitionFilter(language=words), GopherQualityFilter(language=words)]
        filters += [C4QualityFilter(language=words), FineWebQualityFilter(language=words)]
        written = JsonlWriter(str(out / "filtered"), compression=None)
        run("filters", tasks, JsonlReader(str(rows)), *filters, written)
        rows, kept = out / "filtered", ParquetWriter(str(out / "kept"))
    else:
        kept = JsonlWriter(str(out / "kept"), compression=None)
    signatures = MinhashDedupSignature(str(out / "signatures"), config=config, language=words)
    run("signatures", tasks, JsonlReader(str(rows)), signatures)
    run("buckets", 14, MinhashDedupBuckets(str(out / "signatures"), str(out / "buckets"), config=config))
    run("cluster", 1, MinhashDedupCluster(str(out / "buckets"), str(out / "removed"), config=config))
    run("filter", tasks, JsonlReader(str(rows)), MinhashDedupFilter(str(out / "removed")), kept)


if __name__ == "__main__":
    main()
