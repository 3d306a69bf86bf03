#!/usr/bin/env python3
"""Whether a clean server is left alone: runs of every probe against it, and what they said.

    cargo build --release
    python3 benches/clean_runs.py                # 50 runs, stdio and HTTP in turn: some fifteen minutes
    python3 benches/clean_runs.py --runs 10 --suite quick

The bundled server has no fault; one of its tools waits 20 ms as if for a database, one answers as
many bytes as it is asked for, one writes. Each run has three rounds, since what rounds show takes as
many, the loads of its suite, and every probe. Prints what was diagnosed and how often, faults apart
from information, and fails where there was a fault. Nothing else should run on the machine.
"""

import argparse
import collections
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MCPGATE = ROOT / "target" / "release" / "mcpgate"

# What a server is told, and is not blamed for.
INFORMATION = {"cpu-bound-serial", "overloaded", "answers-buffered", "answers-streamed"}

CONFIG = """
[server]
command = {command}
{url}
[suite]
size = "{suite}"
rounds = 3
[probes]
idle = "on"
sessions = "on"
[[tool]]
name = "echo"
arguments = {{ message = "hello {{{{i}}}}" }}
expect = {{ contains = "hello {{{{i}}}}" }}
[[tool]]
name = "search"
arguments = {{ query = "query {{{{i}}}}" }}
[[tool]]
name = "blob"
arguments = {{ bytes = 1000 }}
grows-with = "bytes"
[[tool]]
name = "remember"
arguments = {{ item = "item {{{{i}}}}" }}
writes = {{ read-back = "recall", contains = "item {{{{i}}}}" }}
"""


def config(over, suite):
    command = [str(MCPGATE), "reference-server", "--store", "--fault", "delay=search:20"]
    url = ""
    if over == "http":
        command += ["--transport", "http", "--port", "{port}"]
        url = 'url = "http://127.0.0.1:{port}/mcp"'
    return CONFIG.format(command=json.dumps(command), url=url, suite=suite)


def diagnosed(folder, over, suite):
    (folder / "mcpgate.toml").write_text(config(over, suite))
    ran = subprocess.run([MCPGATE, "run", "--quiet", "--format", "json"], cwd=folder,
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    if ran.returncode != 0:
        raise RuntimeError(f"a run over {over} ended with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}")
    return json.loads(ran.stdout)["diagnoses"]


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--runs", type=int, default=50)
    words.add_argument("--suite", choices=["quick", "standard", "deep"], default="standard")
    asked = words.parse_args()
    faults, information = collections.Counter(), collections.Counter()
    seconds = collections.defaultdict(list)
    for number in range(asked.runs):
        over = ["stdio", "http"][number % 2]
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = diagnosed(Path(folder), over, asked.suite)
        seconds[over].append(time.monotonic() - began)
        for diagnosis in found:
            kind = (over, diagnosis["kind"])
            if diagnosis["kind"] in INFORMATION:
                information[kind] += 1
            else:
                faults[kind] += 1
                print(f"run {number + 1}: {json.dumps(diagnosis)}", flush=True)
    for over, took in sorted(seconds.items()):
        print(f"{over}: {len(took)} runs, {sum(took) / len(took):.1f} s each")
    for title, counts in [("faults", faults), ("information", information)]:
        listed = ", ".join(f"{kind} over {over} {count} times" for (over, kind), count in sorted(counts.items()))
        print(f"{title}: {listed or 'none'}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
