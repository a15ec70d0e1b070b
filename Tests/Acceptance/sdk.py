"""The openai SDK, unmodified, finds a server like the one it was written for, and its retries double nothing."""

from __future__ import annotations

import threading

import openai
from openai.types.chat import ChatCompletionMessageParam

from kit.checks import Checks, alone, eventually
from kit.client import Client
from kit.model import Ask, ModelServer, Reply, echo
from kit.proxy import Fault, LossyProxy
from kit.worker import Worker, manifest

KEYS = {"backend": "sk-test-backend", "alice": "sk-test-alice"}
AUTH = {"apiKeysSecretRef": {"name": "keys"}, "trustedKeys": ["backend"]}


def says(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def session(name: str) -> dict[str, str]:
    return {"X-Session-Id": name}


def client_of(base_url: str, key: str = KEYS["alice"], retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url, api_key=key, max_retries=retries, timeout=20)


def streams_and_does_not(checks: Checks, sdk: openai.OpenAI) -> None:
    chunks = list(
        sdk.chat.completions.create(
            model="assistant",
            messages=says("alpha beta"),
            stream=True,
            stream_options={"include_usage": True},
            extra_headers=session("talk"),
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    checks.equal("a stream's text", text, "You said: alpha beta")
    checks.equal("its finish reason", [c.choices[0].finish_reason for c in chunks if c.choices][-1], "stop")
    usage = chunks[-1].usage
    checks.holds("its usage, in a last chunk", usage is not None and usage.completion_tokens == 4, usage)
    whole = sdk.chat.completions.create(
        model="assistant", messages=says("gamma"), extra_headers=session("talk")
    )
    checks.equal("a whole reply's text", whole.choices[0].message.content, "You said: gamma")
    checks.holds(
        "its usage",
        whole.usage is not None and whole.usage.total_tokens == 13,
        whole.usage and whole.usage.total_tokens,
    )
    counted = list(sdk.chat.completions.create(model="assistant", messages=says("x"), stream=True))
    checks.holds("no usage where none was asked for", all(c.usage is None for c in counted))


def resumes_by_header(checks: Checks, sdk: openai.OpenAI, model: ModelServer) -> None:
    raw = sdk.chat.completions.with_raw_response.create(
        model="assistant", messages=says("delta"), extra_headers=session("talk")
    )
    checks.equal("a session is resumed by its header", raw.headers["x-session-id"], "talk")
    checks.equal("from L1", raw.headers["x-memory-tier"], "l1")
    checks.holds("the prompt holds what was said before", "alpha beta" in model.of_kind("chat")[-1].prompt)
    raw = sdk.chat.completions.with_raw_response.create(model="assistant", messages=says("epsilon"))
    minted = raw.headers["x-session-id"]
    checks.holds("without a header a session begins", raw.headers["x-memory-tier"] == "new" and minted != "")
    raw = sdk.chat.completions.with_raw_response.create(
        model="assistant", messages=says("zeta"), extra_headers=session(minted)
    )
    checks.holds("and goes on under its id", "epsilon" in model.of_kind("chat")[-1].prompt, minted)
    named = sdk.chat.completions.create(
        model="assistant", messages=says("eta"), metadata={"session_id": "talk"}
    )
    checks.holds("metadata names a session too", bool(named) and "gamma" in model.of_kind("chat")[-1].prompt)


def lists_models(checks: Checks, sdk: openai.OpenAI) -> None:
    listed = [model.id for model in sdk.models.list()]
    checks.holds("models.list names the agent", "assistant" in listed, listed)
    checks.equal("models.retrieve finds it", sdk.models.retrieve("assistant").id, "assistant")


def refused_as(
    checks: Checks, kind: type[openai.APIStatusError], what: str, sdk: openai.OpenAI, **more: object
) -> None:
    request: dict[str, object] = {"model": "assistant", "messages": says("hello"), **more}
    try:
        sdk.chat.completions.create(**request)  # type: ignore[call-overload]
    except openai.APIStatusError as error:
        checks.holds(f"{what}: {kind.__name__}", type(error) is kind, f"{error.status_code}: {error.message}")
        return
    checks.holds(f"{what}: {kind.__name__}", False, "no error")


def errors_are_its_own(checks: Checks, sdk: openai.OpenAI, url: str) -> None:
    refused_as(checks, openai.NotFoundError, "an unknown model", sdk, model="nobody")
    refused_as(checks, openai.BadRequestError, "no messages", sdk, messages=[])
    refused_as(checks, openai.BadRequestError, "two choices", sdk, n=2)
    refused_as(checks, openai.AuthenticationError, "a wrong key", client_of(url, "sk-wrong"))
    refused_as(checks, openai.PermissionDeniedError, "an end user named by an untrusted key", sdk, user="bob")
    try:
        sdk.models.retrieve("nobody")
        checks.holds("models.retrieve of an unknown one: NotFoundError", False)
    except openai.NotFoundError as error:
        checks.holds("models.retrieve of an unknown one: NotFoundError", True, error.message)
    trusted = client_of(url, KEYS["backend"])
    answer = trusted.chat.completions.create(model="assistant", messages=says("hello"), user="bob")
    checks.holds("an end user named by a trusted key is served", bool(answer.choices))


def upstream_failures(checks: Checks, sdk: openai.OpenAI) -> None:
    try:
        sdk.chat.completions.create(model="assistant", messages=says("please fail"))
        checks.holds("a model that fails: InternalServerError", False)
    except openai.InternalServerError as error:
        checks.holds("a model that fails: InternalServerError", True, f"{error.status_code}: {error.message}")
    text = ""
    try:
        for chunk in sdk.chat.completions.create(
            model="assistant",
            messages=says("please break off now"),
            stream=True,
            extra_headers=session("broken"),
        ):
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
        checks.holds("a model that breaks off within a reply: APIError", False, text)
    except openai.APIError as error:
        checks.holds(
            "a model that breaks off within a reply: APIError", text != "", f"{text!r}, {error.message}"
        )


def overload(checks: Checks, worker: Worker, gate: threading.Event) -> None:
    """One place and one to wait: the third request is refused at once."""
    url = worker.url + "/v1"
    replies: list[str | None] = []

    def hold(number: int) -> None:
        answer = client_of(url).chat.completions.create(
            model="assistant", messages=says(f"hold {number}"), extra_headers=session(f"hold-{number}")
        )
        replies.append(answer.choices[0].message.content)

    held = [threading.Thread(target=hold, args=(number,)) for number in range(2)]
    for thread in held:
        thread.start()
    admin = Client(worker.admin_port)

    def full() -> bool:
        load = admin.ask("GET", "/load").json
        return (load["runningTurns"], load["pendingRequests"]) == (1, 1)

    checks.holds("/load tells of a turn that runs and one that waits", eventually(full, 10))
    try:
        client_of(url).chat.completions.create(model="assistant", messages=says("one more"))
        checks.holds("beyond the queue a turn is refused", False)
    except openai.APIStatusError as error:
        refused = isinstance(error, openai.RateLimitError | openai.InternalServerError)
        seen = f"{error.status_code}: {error.message}"
        checks.holds("beyond the queue a turn is refused with 429 or 503", refused, seen)
        wait = error.response.headers.get("retry-after")
        checks.holds("and Retry-After", wait is not None and int(wait) >= 1, wait)
    gate.set()
    for thread in held:
        thread.join(20)
    checks.equal(
        "those that waited are served", sorted(map(str, replies)), [f"You said: hold {n}" for n in range(2)]
    )


def retries_double_nothing(checks: Checks, worker: Worker, model: ModelServer) -> None:
    proxy = LossyProxy(worker.port)
    sdk = client_of(proxy.url, retries=2)
    reader = Client(worker.port, key=KEYS["alice"])
    cases: list[tuple[Fault, bool]] = [
        ("after the answer", False),
        ("after the answer", True),
        ("at once", False),
    ]
    for number, (fault, streams) in enumerate(cases):
        name, text = f"retry-{number}", f"slowly now, retry number {number}"
        proxy.faults, proxy.requests = [fault], []
        answer = sdk.chat.completions.create(
            model="assistant", messages=says(text), stream=streams, extra_headers=session(name)
        )
        if isinstance(answer, openai.Stream):
            reply = "".join(c.choices[0].delta.content or "" for c in answer if c.choices)
        else:
            reply = answer.choices[0].message.content or ""
        label = f"answer lost {fault}, {'streamed' if streams else 'whole'}"
        checks.equal(f"{label}: the SDK asked twice", len(proxy.requests), 2)
        checks.holds(
            f"{label}: by its retry header", b"x-stainless-retry-count: 1" in proxy.requests[1].lower()
        )
        _held_once(checks, label, reader, model, name, text, reply)
    _retry_without_a_session(checks, proxy, sdk, reader, model)
    _application_asks_again(checks, proxy, reader, model)
    proxy.close()


def _retry_without_a_session(
    checks: Checks, proxy: LossyProxy, sdk: openai.OpenAI, reader: Client, model: ModelServer
) -> None:
    """The lost answer carried the id of the session that it began: the retry must not begin another."""
    text = "slowly now, in no session yet"
    proxy.faults = ["after the answer"]
    raw = sdk.chat.completions.with_raw_response.create(model="assistant", messages=says(text))
    reply = raw.parse().choices[0].message.content or ""
    _held_once(checks, "a first turn's answer lost", reader, model, raw.headers["x-session-id"], text, reply)


def _application_asks_again(checks: Checks, proxy: LossyProxy, reader: Client, model: ModelServer) -> None:
    """A stream that breaks is the application's to repeat: it names the turn by Idempotency-Key."""
    sdk, text = client_of(proxy.url), "slowly now, a key of my own"
    headers = session("keyed") | {"Idempotency-Key": "order-77"}
    proxy.faults = ["within the answer"]

    def ask() -> str:
        stream = sdk.chat.completions.create(
            model="assistant", messages=says(text), stream=True, extra_headers=headers
        )
        return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)

    seen = "nothing"
    try:
        ask()
    except Exception as error:  # what breaks a stream is an exception of the SDK's HTTP library
        seen = type(error).__name__
    checks.holds("a stream that breaks is noticed", seen != "nothing", seen)
    reply = ask()
    _held_once(checks, "asked again with its key", reader, model, "keyed", text, reply)


def _held_once(
    checks: Checks, label: str, reader: Client, model: ModelServer, name: str, text: str, reply: str
) -> None:
    said = [m["content"] for m in reader.history(name) if m["role"] == "user"]
    checks.equal(f"{label}: the session holds the turn once", said, [text])
    checks.equal(f"{label}: the reply is whole", reply, f"You said: {text}")
    asked = sum(ask.said == text for ask in model.of_kind("chat"))
    checks.equal(f"{label}: the model was asked once", asked, 1)


def program(checks: Checks) -> None:
    gate = threading.Event()

    def reply(ask: Ask) -> Reply:
        answer = echo(ask)
        if ask.said.startswith("slowly"):
            answer.gap = 0.15
        elif ask.said.startswith("hold"):
            gate.wait(20)
        elif ask.said == "please fail":
            return Reply(["the", "model", "is", "ill"], status=500)
        elif ask.said == "please break off now":
            answer.cut_at = 3
        return answer

    model = ModelServer(reply)
    narrow = {"maxRunningTurns": 1, "maxQueuedTurns": 1}
    with Worker(manifest(model, {"keys": KEYS}, auth=AUTH)) as worker:
        url = worker.url + "/v1"
        sdk = client_of(url)
        streams_and_does_not(checks, sdk)
        resumes_by_header(checks, sdk, model)
        lists_models(checks, sdk)
        errors_are_its_own(checks, sdk, url)
        upstream_failures(checks, sdk)
        retries_double_nothing(checks, worker, model)
    with Worker(manifest(model, {"keys": KEYS}, auth=AUTH, concurrency=narrow)) as worker:
        overload(checks, worker, gate)
    model.close()


if __name__ == "__main__":
    alone(program, __doc__)
