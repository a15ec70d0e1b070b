"""Responses that don't come to a plain end: a model that fails, an answer that is lost, a client that leaves, a worker that drains."""

from __future__ import annotations

import threading

import openai
from openai.types.responses import ResponseStreamEvent

from kit.checks import Checks, alone, eventually
from kit.client import Client
from kit.model import Ask, ModelServer, Reply, echo
from kit.proxy import LossyProxy
from kit.responses import AUTH, KEYS, ask, client_of, refused
from kit.worker import Worker, manifest

DRAIN = {"delay": "0s", "timeout": "30s"}
CONCURRENCY = {"turnTimeout": "20s"}


def failures(checks: Checks, sdk: openai.OpenAI) -> None:
    for streams in (False, True):
        refused(
            checks,
            openai.InternalServerError,
            f"a model that fails before its first word, {'streamed' if streams else 'whole'}",
            lambda streams=streams: ask(sdk, "please fail", stream=streams),
        )
    events = list(sdk.responses.create(model="assistant", input="please break off now", stream=True))
    last = events[-1]
    failed = last.response if last.type == "response.failed" else None
    checks.holds(
        "a model that breaks off within a reply: response.failed",
        failed is not None and failed.status == "failed" and failed.error is not None,
        failed and failed.error,
    )
    checks.equal("what there was is in it", failed and failed.output_text, "You said: please")
    stored = sdk.responses.retrieve(failed.id if failed else "")
    checks.equal("and kept", (stored.status, stored.output_text), ("failed", "You said: please"))


def retries_double_nothing(checks: Checks, worker: Worker, model: ModelServer) -> None:
    proxy = LossyProxy(worker.port)
    sdk = client_of(proxy.url, retries=2)
    for text in ("slowly now, the first", "slowly now, the second"):
        proxy.faults = ["after the answer"]
        response = ask(sdk, text)
        asked = sum(ask.said == text for ask in model.of_kind("chat"))
        checks.equal("an answer that is lost is asked for again, the model once", asked, 1)
        session = response.conversation.id if response.conversation else ""
        history = Client(worker.port, key=KEYS["alice"]).history(session)
        said = [message["content"] for message in history if message["role"] == "user"]
        checks.equal("and its session holds the turn once", said, [text])
    proxy.close()


def leaves(checks: Checks, sdk: openai.OpenAI, model: ModelServer) -> None:
    text = "endlessly now " + "word " * 60
    stream = sdk.responses.create(model="assistant", input=text, stream=True)
    for event in stream:
        if event.type == "response.output_text.delta":
            break
    stream.close()
    running = [ask for ask in model.of_kind("chat") if ask.said.startswith("endlessly")]
    gone = eventually(lambda: running[-1].client_gone is not None, 10)
    checks.holds("a client that leaves ends its turn", gone)


def drains(checks: Checks, worker: Worker, sdk: openai.OpenAI) -> None:
    """The response that runs comes to its end, and a new one is refused with the time to come back."""
    events: list[ResponseStreamEvent] = []
    text = "slowly now, " + "word " * 40 + "end"

    def talk() -> None:
        for event in sdk.responses.create(model="assistant", input=text, stream=True):
            events.append(event)

    running = threading.Thread(target=talk)
    running.start()
    checks.holds("a response streams", eventually(lambda: len(events) > 5, 10))
    drain = threading.Thread(target=lambda: Client(worker.admin_port).ask("POST", "/drain"))
    drain.start()
    late = Client(worker.port, key=KEYS["alice"])

    def is_refused() -> bool:
        answer = late.ask("POST", "/v1/responses", {"model": "assistant", "input": "too late"})
        return answer.status == 503 and int(answer.headers["retry-after"]) >= 1

    refusal = eventually(is_refused, 3)
    checks.holds(
        "a worker that drains refuses another with 503 and Retry-After", refusal and running.is_alive()
    )
    running.join(20)
    drain.join(20)
    last = events[-1]
    whole = last.type == "response.completed" and last.response.output_text == f"You said: {text}"
    checks.holds("and the response that ran is whole", whole, last.type)


def program(checks: Checks) -> None:
    def reply(ask: Ask) -> Reply:
        answer = echo(ask)
        if ask.said.startswith("slowly"):
            answer.gap = 0.1
        elif ask.said.startswith("endlessly"):
            answer.gap = 0.2
        elif ask.said == "please fail":
            return Reply(["the", "model", "is", "ill"], status=500)
        elif ask.said == "please break off now":
            answer.cut_at = 3
        return answer

    model = ModelServer(reply)
    pool = manifest(model, {"keys": KEYS}, auth=AUTH, drain=DRAIN, concurrency=CONCURRENCY)
    with Worker(pool) as worker:
        sdk = client_of(worker.url + "/v1")
        failures(checks, sdk)
        retries_double_nothing(checks, worker, model)
        leaves(checks, sdk, model)
        drains(checks, worker, sdk)
    model.close()


if __name__ == "__main__":
    alone(program, __doc__)
