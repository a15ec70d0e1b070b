/// What becomes of a command after each kind of answer.
import NIOCore
import Testing

@testable import Redis

@Suite("A command's progress")
struct RequestProgressTests {
    let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    let node = RedisAddress(host: "a", port: 1)
    let other = RedisAddress(host: "b", port: 2)
    let script = RedisScript(name: "commit", source: "return 1")

    func progress(
        idempotent: Bool = false, script: Bool = false, patience: Duration? = .zero
    ) -> RequestProgress {
        var request = Request(
            RedisCommand("SET", ["k", "v"], key: "k", isIdempotent: idempotent), patience: .zero)
        if script { request.payload = .script(self.script, rest: ["1", "k"]) }
        request.patience = patience
        return RequestProgress(request, start: start, deadline: start + .seconds(5), maxRedirects: 2)
    }

    func judge(
        _ progress: inout RequestProgress, _ answer: Call.Answer, after: TimeAmount = .zero
    ) -> RequestProgress.Verdict {
        var generator = Seeded(state: 1)
        return progress.judge(answer, node: node, now: start + after, using: &generator)
    }

    func error(_ verdict: RequestProgress.Verdict) -> RedisError? {
        if case .fail(let error) = verdict { return error }
        return nil
    }

    @Test("MOVED and ASK are followed a bounded number of times, ASK for one attempt")
    func redirections() {
        var progress = progress()
        #expect(
            judge(&progress, .reply(.error("MOVED 5 b:2"), replicas: 0))
                == .again(after: .zero, .moved(slot: 5, other)))
        #expect(progress.asking == nil)
        #expect(judge(&progress, .reply(.error("ASK 5 b:2"), replicas: 0)) == .again(after: .zero, nil))
        #expect(progress.asking == other)
        #expect(
            error(judge(&progress, .reply(.error("MOVED 5 b:2"), replicas: 0)))?.kind == .tooManyRedirects)
        #expect(progress.asking == nil)
    }

    @Test(
        "a server that asks for patience gets it within the deadline",
        arguments: ["TRYAGAIN", "LOADING", "CLUSTERDOWN", "READONLY"])
    func patience(code: String) {
        var progress = progress()
        guard case .again(let delay, let news) = judge(&progress, .reply(.error(code), replicas: 0)) else {
            Issue.record("given up")
            return
        }
        #expect(delay > .zero)
        #expect((news == .stale) == ["CLUSTERDOWN", "READONLY"].contains(code))
        let late = error(judge(&progress, .reply(.error(code), replicas: 0), after: .seconds(5)))
        #expect(late?.kind == .reply && late?.code == code && late?.mayHaveRun == false)
    }

    @Test("a lost command is sent again only if it may be")
    func lost() {
        let answer = Call.Answer.failure(LinkFault(.connectionLost), mayHaveRun: true)
        var once = progress()
        #expect(error(judge(&once, answer))?.mayHaveRun == true)
        var twice = progress(idempotent: true)
        guard case .again = judge(&twice, answer) else {
            Issue.record("given up")
            return
        }
        // That it may have run is not forgotten.
        #expect(
            error(judge(&twice, .failure(LinkFault(.unavailable), mayHaveRun: false)))?.mayHaveRun == true)
    }

    @Test("a node that is down fails at once, but for those who wait for it")
    func down() {
        let answer = Call.Answer.failure(LinkFault(.unavailable), mayHaveRun: false)
        var hurried = progress()
        #expect(error(judge(&hurried, answer))?.kind == .unavailable)
        var patient = progress(patience: nil)
        guard case .again(_, .stale) = judge(&patient, answer) else {
            Issue.record("given up")
            return
        }
        #expect(error(judge(&patient, answer, after: .seconds(6)))?.kind == .unavailable)
        var limited = progress(patience: .seconds(1))
        #expect(error(judge(&limited, answer, after: .milliseconds(500))) == nil)
        #expect(error(judge(&limited, answer, after: .seconds(2)))?.kind == .unavailable)
    }

    @Test("a script that the server doesn't know is sent whole, once")
    func unknownScript() {
        var progress = progress(script: true)
        #expect(progress.request.arguments(usesSource: false)[0] == "EVALSHA")
        #expect(judge(&progress, .reply(.error("NOSCRIPT"), replicas: 0)) == .again(after: .zero, nil))
        #expect(
            progress.request.arguments(usesSource: progress.usesSource) == ["EVAL", "return 1", "1", "k"])
        #expect(error(judge(&progress, .reply(.error("NOSCRIPT"), replicas: 0)))?.code == "NOSCRIPT")
    }

    @Test("errors say whether the command may have run")
    func mayHaveRun() {
        var command = progress()
        #expect(error(judge(&command, .reply(.error("WRONGTYPE"), replicas: 0)))?.mayHaveRun == false)
        var script = progress(script: true)
        #expect(error(judge(&script, .reply(.error("ERR"), replicas: 0)))?.mayHaveRun == true)
        var full = progress(script: true)
        #expect(error(judge(&full, .reply(.error("OOM"), replicas: 0)))?.mayHaveRun == false)
        var crossed = progress(script: true)
        #expect(error(judge(&crossed, .reply(.error("CROSSSLOT"), replicas: 0)))?.kind == .crossSlot)
    }

    @Test("an error's text names node and command, never a key or a value")
    func description() {
        let error = RedisError(.reply, node: "a:1", command: "SET", mayHaveRun: true, code: "OOM")
        #expect("\(error)" == "Redis at a:1, SET: refused with OOM; it may have run")
    }
}
