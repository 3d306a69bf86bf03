#!/usr/bin/env python3
"""Whether the times that mcpgate shows are true, and what the process costs besides its calls.

    cargo build --release
    python3 benches/truth.py                   # all three; about a minute
    python3 benches/truth.py --only wire --runs 5

`wire`: ten callers of a tool that takes 5 ms, against the packets of the same calls (captured by
tcpdump on the loopback, which takes root): p50 of mcpgate beside p50 of the time from the packet
that ends a request to the one that ends its answer.
`freeze`: a server that stands still for one second in the middle of 10 s at 200 calls a second.
500 ms (p95) and 900 ms (p99) are exact.
`process`: the whole process for a round of one call, beside a bare client that starts the server as
often, makes one call and waits for its end; and against a server that runs already.

Nothing else should run on the machine.
"""

import argparse
import collections
import json
import re
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MCPGATE = ROOT / "target" / "release" / "mcpgate"

QUICK = """
[suite]
size = "quick"
rounds = 1
calls = 1
concurrency = 1
"""

WIRE = QUICK + """
[[tool]]
name = "wait"
arguments = { ms = 5 }
[[scenario]]
name = "load"
tool = "wait"
executor = "shared-iterations"
vus = 10
iterations = 3000
"""

FREEZE = QUICK + """
[[tool]]
name = "echo"
arguments = { message = "hello" }
[[scenario]]
name = "load"
tool = "echo"
executor = "constant-arrival-rate"
rate = 200
duration = "10s"
"""

ONE = QUICK + """
[[tool]]
name = "echo"
arguments = { message = "hello" }
"""


class Server:
    """The reference server over HTTP, as long as it is needed."""

    def __init__(self, *options):
        command = [MCPGATE, "reference-server", "--transport", "http", "--port", "0", *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        for line in self.process.stderr:
            found = re.search(r"listening on (\S+)", line)
            if found:
                self.url = found.group(1)
                self.port = int(re.search(r":(\d+)/", self.url).group(1))
                return
        raise RuntimeError("the reference server did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=10)


def run(config, server):
    """Seconds that a run took, and its one job."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "mcpgate.toml").write_text(f"[server]\n{server}\n{config}")
        began = time.monotonic()
        ran = subprocess.run([MCPGATE, "run", "--quiet", "--output", "results.json"], cwd=folder,
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        took = time.monotonic() - began
        if ran.returncode != 0:
            raise RuntimeError(f"mcpgate ended with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}")
        return took, json.loads((folder / "results.json").read_text())["jobs"][0]


def packets(capture):
    """Time in ns, ports and length of the payload of each TCP packet of a capture with ns stamps."""
    data = capture.read_bytes()
    magic, linktype = struct.unpack_from("<I", data)[0], struct.unpack_from("<I", data, 20)[0]
    if magic != 0xA1B23C4D or linktype != 1:
        raise RuntimeError(f"a capture of another form: {magic:x}, link type {linktype}")
    at = 24
    while at + 16 <= len(data):
        seconds, nanos, kept, _ = struct.unpack_from("<IIII", data, at)
        frame = data[at + 16 : at + 16 + kept]
        at += 16 + kept
        if frame[12:14] != b"\x08\x00" or frame[23] != 6:
            continue
        header = (frame[14] & 15) * 4
        total = struct.unpack_from(">H", frame, 16)[0]
        source, target = struct.unpack_from(">HH", frame, 14 + header)
        offset = (frame[14 + header + 12] >> 4) * 4
        yield seconds * 10**9 + nanos, source, target, total - header - offset


def exchanges(capture, port):
    """Of each connection, the ns from the end of each request to the end of its answer."""
    asked, answered, taken = {}, {}, collections.defaultdict(list)
    for at, source, target, length in packets(capture):
        if length == 0:
            continue
        if target == port:
            if source in answered:
                taken[source].append(answered.pop(source) - asked[source])
            asked[source] = at
        elif target in asked:
            answered[target] = at
    for caller, at in answered.items():
        taken[caller].append(at - asked[caller])
    return [ns for of_one in taken.values() for ns in of_one]


def wire():
    if not shutil.which("tcpdump"):
        sys.exit("tcpdump is needed: apt-get install tcpdump")
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        capture = Path(folder) / "capture"
        catching = subprocess.Popen(
            ["tcpdump", "-i", "lo", "-w", capture, "-s", "96", "-B", "16384", "--immediate-mode",
             "--time-stamp-precision=nano", f"tcp port {server.port}"],
            stderr=subprocess.PIPE, text=True)
        for line in catching.stderr:
            if "listening on" in line:
                break
        _, job = run(WIRE, f'url = "{server.url}"')
        catching.send_signal(signal.SIGINT)
        told = catching.communicate(timeout=10)[1]
        if not re.search(r"\b0 packets dropped", told):
            raise RuntimeError(f"tcpdump lost packets:\n{told}")
        # What is no call of 5 ms: the handshakes and the lists.
        seen = sorted(ns for ns in exchanges(capture, server.port) if ns >= 4_000_000)
    load = job["loads"]["load"]["whole"]
    ours, theirs = load["wall"]["p50_ns"] / 1e6, statistics.median(seen) / 1e6
    print(f"wire: p50 {ours:.3f} ms, of {len(seen)} exchanges on the wire {theirs:.3f} ms: {ours - theirs:+.3f} ms")
    return ours - theirs


def freeze():
    with Server("--fault", "freeze=1021:1000") as server:
        _, job = run(FREEZE, f'url = "{server.url}"')
    load = job["loads"]["load"]
    wall, lag = load["whole"]["wall"], load["send_lag"]["p50_ns"] / 1e6
    print(f"freeze: {load['whole']['calls']} calls, {load.get('dropped', 0)} dropped, p95 {wall['p95_ns'] / 1e6:.1f} ms, "
          f"p99 {wall['p99_ns'] / 1e6:.1f} ms; sent {lag:.3f} ms late (p50)")


def bare():
    """Seconds from starting the server over stdio to its end, with the handshake, a list and a call."""
    version = "2025-11-25"
    client = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "bare", "version": "1"}}
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/call",
         "params": {"name": "echo", "arguments": {"message": "hello"}}},
    ]
    began = time.monotonic()
    server = subprocess.Popen([MCPGATE, "reference-server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for line in lines:
        server.stdin.write(json.dumps(line).encode() + b"\n")
        server.stdin.flush()
        if "id" in line:
            answer = json.loads(server.stdout.readline())
            assert answer["id"] == line["id"] and "result" in answer, answer
    server.stdin.close()
    server.wait(timeout=10)
    return time.monotonic() - began


def process():
    command = f"command = {json.dumps([str(MCPGATE), 'reference-server'])}"
    started, calls, alone, attached, version = [], [], [], [], []
    with Server() as server:
        for _ in range(15):
            began = time.monotonic()
            subprocess.run([MCPGATE, "--version"], check=True, stdout=subprocess.DEVNULL)
            version.append(time.monotonic() - began)
            took, job = run(ONE, command)
            started.append(took)
            # The least that a suite makes: sessions, lists of tools, and callers beside the one call.
            scenarios = job["rounds"][0]["scenarios"].values()
            calls.append(sum(scenario["duration_ns"] for scenario in scenarios) / 1e9)
            alone.append(bare() + bare())
            attached.append(run(ONE, f'url = "{server.url}"')[0])
    middle = lambda seconds: statistics.median(seconds) * 1000
    beyond = [whole - bare - asked for whole, bare, asked in zip(started, alone, calls)]
    made = sum(scenario["calls"] for scenario in scenarios)
    print(f"process: {middle(started):.1f} ms, in which {made} calls took {middle(calls):.1f} ms and the starts and ends of "
          f"two servers, by a bare client, {middle(alone):.1f} ms: {middle(beyond):.1f} ms more; "
          f"{middle(attached):.1f} ms against a server that runs; `--version` takes {middle(version):.1f} ms")


PARTS = {"wire": wire, "freeze": freeze, "process": process}


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--only", choices=PARTS)
    words.add_argument("--runs", type=int, default=3)
    asked = words.parse_args()
    for name, part in PARTS.items():
        if asked.only in (None, name):
            for _ in range(asked.runs):
                part()


if __name__ == "__main__":
    main()
