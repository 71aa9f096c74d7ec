"""Near duplicates by text-dedup's command, an Arrow dataset of what is kept: `with_text_dedup.py ROWS OUT WORKERS`."""

import os
import subprocess
import sys


def main() -> None:
    rows, out, workers = sys.argv[1:4]
    command = [sys.executable, "-m", "text_dedup.minhash", "--path", "json", "--data_files", f"{rows}/*.jsonl"]
    command += ["--split", "train", "--cache_dir", f"{out}/cache", "--output", f"{out}/kept", "--column", "text"]
    command += [
        "--ngram",
        "5",
        "--num_perm",
        "112",
        "--b",
        "14",
        "--r",
        "8",
        "--threshold",
        "0.75",
        "--min_length",
        "0",
    ]
    command += ["--hash_func", "xxh3", "--num_proc", workers, "--batch_size", "10000"]
    subprocess.run(command, check=True, env=os.environ | {"HF_HOME": f"{out}/home", "HF_HUB_OFFLINE": "1"})


if __name__ == "__main__":
    main()
