"""Measures routing by `agentpool route`: how long a decision takes and how often it is right, by rules, by words and by an embedding model, with few and many examples an agent."""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import processes
import report
import yaml
from ports import free_port
from processes import ROOT, Server

HERE = Path(__file__).resolve().parent
POOL = ROOT / "examples" / "routing" / "pool.yaml"
EVERYDAY = ROOT / "examples" / "routing" / "everyday.tsv"
TEXTS = ROOT / "examples" / "routing" / "utterances.tsv"
BINARY = os.environ.get("AGENTPOOL", str(ROOT / ".build" / "release" / "agentpool"))
DECISIONS = 1_000  # each everyday text four times
# Words of the descriptions, one pattern an agent; written without sight of the labelled texts.
RULES = {
    "returns-and-refunds": r"(?i)\b(return|refund|exchange)|退货|退款",
    "billing-and-payments": r"(?i)\b(pay|invoice|receipt|voucher|gift card|charged)|支付|发票",
    "account-and-login": r"(?i)\b(account|password|log ?in|sign)|账户|密码",
    "technical-support": r"(?i)\b(wi-?fi|error|set ?up|connect|settings)|连接|错误",
    "product-advice": r"(?i)\b(recommend|compare|difference|in stock|which model)|推荐|区别",
    "warranty-and-repairs": r"(?i)\b(warranty|guarantee|repair|spare part|technician)|保修|维修",
    "privacy-and-legal": r"(?i)\b(privacy|personal data|consent|complaint|lawyer)|隐私|投诉",
    "business-customers": r"(?i)\b(company|quote|bulk|reseller|school|VAT)\b|企业|公司",
    "jobs-and-press": r"(?i)\b(job|vacanc|internship|journalist|interview|press)|招聘|媒体",
    "orders-and-delivery": r"(?i)\b(order|parcel|package|delivery|tracking)|订单|配送",
}


@dataclass
class Figures:
    """Of one run: the share of texts that went where they should, and milliseconds of a decision."""

    right: float
    median: float
    p99: float


def texts(file: Path) -> dict[str, list[tuple[str, str]]]:
    """The labelled texts by their half, each with its agent."""
    halves: dict[str, list[tuple[str, str]]] = {}
    for line in file.read_text().splitlines():
        agent, half, text = line.split("\t", 2)
        halves.setdefault(half, []).append((agent, text))
    return halves


def milliseconds(text: str) -> float:
    """Of a duration as Swift prints it: `4.1e-05 seconds`."""
    return float(text.removesuffix(" seconds")) * 1e3


def route(spec: dict[str, Any], cases: list[tuple[str, str]], times: int) -> Figures:
    """Has each text routed so often, in one process."""
    document = {
        "apiVersion": "agentpool.dev/v1alpha1",
        "kind": "AgentPool",
        "metadata": {"name": "bench"},
        "spec": spec,
    }
    with tempfile.TemporaryDirectory(prefix="bench-routing-") as folder:
        pool, labelled = Path(folder) / "pool.yaml", Path(folder) / "labelled.tsv"
        pool.write_text(json.dumps(document))
        lines = [f"{agent}\tall\t{text}" for _ in range(times) for agent, text in cases]
        labelled.write_text("\n".join(lines) + "\n")
        command = [BINARY, "route", "-f", str(pool), "--labelled", str(labelled)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    share = re.search(r"all: (\d+) of (\d+)", printed)
    took = re.search(r"median (.+?), p99 (.+?), longest", printed)
    if share is None or took is None:
        sys.exit(f"agentpool route prints something else: {printed}")
    return Figures(int(share[1]) / int(share[2]), milliseconds(took[1]), milliseconds(took[2]))


class Pool:
    """The example's manifest, with other examples."""

    def __init__(self, tuning: list[tuple[str, str]]) -> None:
        self._spec: dict[str, Any] = yaml.safe_load(POOL.read_text())["spec"]
        self._tuning = tuning

    def spec(self, own: bool, more: int, draw: int = 0) -> dict[str, Any]:
        """With the manifest's own eight examples an agent, and `more` that are drawn from the tuning half."""
        spec = copy.deepcopy(self._spec)
        chance = random.Random(draw)
        for agent in spec["agents"]:
            drawn = chance.sample([text for name, text in self._tuning if name == agent["name"]], more)
            agent["examples"] = (agent["examples"] if own else []) + drawn
        return spec

    def by_rules(self) -> dict[str, Any]:
        spec = self.spec(own=True, more=0)
        spec["routing"]["rules"] = [{"agent": name, "pattern": pattern} for name, pattern in RULES.items()]
        return spec


def with_model(spec: dict[str, Any], server: Server) -> dict[str, Any]:
    """By meaning; the deadline is so long that a busy machine changes no decision."""
    url = f"http://127.0.0.1:{server.port}/v1"
    model = {"name": "embed", "provider": "openai", "baseURL": url, "model": "minilm", "dimensions": 384}
    spec["models"] = [model]
    spec["routing"]["embeddingModel"] = "embed"
    spec["memory"] = {"recall": {"embeddingDeadline": "5s"}}
    return spec


def minilm(stack: ExitStack) -> Server:
    port = free_port()
    command = [sys.executable, str(HERE.parent / "memory" / "embeddings.py"), str(port), "minilm"]
    log = processes.BUILD / "minilm.log"
    one_core = {"OPENBLAS_NUM_THREADS": "1"}  # more of them wait for each other on texts so short
    return stack.enter_context(processes.running("all-MiniLM-L6-v2", command, port, log, one_core))


def percent(shares: list[float]) -> str:
    shown = f"{mean(shares) * 100:.0f}%"
    return shown if len(shares) == 1 else f"{shown} ({min(shares) * 100:.0f} to {max(shares) * 100:.0f})"


def main() -> None:
    options = argparse.ArgumentParser(prog="Benchmarks/run routing", description=__doc__)
    options.add_argument("--draws", type=int, default=5, help="of examples from the tuning half")
    chosen = options.parse_args()
    halves, everyday = texts(TEXTS), texts(EVERYDAY)["test"]
    held_out, pool = halves["test"], Pool(halves["dev"])
    for key, value in report.machine().items():
        print(f"- {key}: {value}")
    with ExitStack() as stack:
        server = minilm(stack)
        own = pool.spec(own=True, more=0)
        rows = {
            "ten rules, then words": pool.by_rules(),
            "words": own,
            "all-MiniLM-L6-v2": with_model(copy.deepcopy(own), server),
        }
        print(
            f"\n| right, of | {len(everyday)} everyday texts | {len(held_out)} held-out hard ones | median (ms) | p99 (ms) |"
            "\n| --- | ---: | ---: | ---: | ---: |"
        )
        for name, spec in rows.items():
            # To the model each text goes once: its server keeps what it has computed.
            timed = route(spec, everyday, 1 if spec is rows["all-MiniLM-L6-v2"] else DECISIONS // len(everyday))
            hard = route(spec, held_out, 1)
            print(
                f"| {name} | {timed.right * 100:.0f}% | {hard.right * 100:.0f}% | {timed.median:.3f} | {timed.p99:.3f} |"
            )
        print("\n| examples an agent | words | all-MiniLM-L6-v2 |\n| --- | ---: | ---: |")
        for label, own, more in (
            ("none", False, 0),
            ("3 of the tuning half", False, 3),
            ("10 of the tuning half", False, 10),
            ("8 of the manifest", True, 0),
            ("8 of the manifest, 10 of the tuning half", True, 10),
        ):
            draws = range(chosen.draws if more else 1)
            specs = [pool.spec(own, more, draw) for draw in draws]
            words = [route(spec, held_out, 1).right for spec in specs]
            meant = [route(with_model(spec, server), held_out, 1).right for spec in specs]
            print(f"| {label} | {percent(words)} | {percent(meant)} |", flush=True)


if __name__ == "__main__":
    main()
