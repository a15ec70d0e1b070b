/// Decides what becomes of a command after each answer: done, failed, or sent again, where and when.
import NIOCore

/// What a caller wants, in the form in which it is sent.
struct Request: Sendable {
    enum Payload: Sendable {
        case command([RedisArgument])
        case script(RedisScript, rest: [RedisArgument])
    }

    /// The command's or the script's name, for errors.
    var name: String
    var payload: Payload
    /// nil: any master.
    var slot: Int?
    var isIdempotent: Bool
    /// Goes by a commit connection and is confirmed by so many; nil: by an ordinary one.
    var replicas: Int?
    /// How long it may wait for a node that is down; nil: to its deadline.
    var patience: Duration? = .zero

    func arguments(usesSource: Bool) -> [RedisArgument] {
        switch payload {
        case .command(let arguments): arguments
        case .script(let script, let rest):
            (usesSource
                ? ["EVAL", RedisArgument(script.source)] : ["EVALSHA", RedisArgument(script.digest)]) + rest
        }
    }
}

struct RequestProgress {
    enum Verdict: Equatable {
        case done(RedisValue, replicas: Int)
        case fail(RedisError)
        case again(after: Duration, News?)
    }

    /// What an answer says about the servers.
    enum News: Equatable {
        case moved(slot: Int, RedisAddress)
        /// The topology is worth asking for.
        case stale
    }

    let request: Request
    let start: NIODeadline
    let deadline: NIODeadline
    /// Whom ASK named; for the next attempt only.
    private(set) var asking: RedisAddress?
    private(set) var usesSource = false
    private var redirects = 0
    private var failures = 0
    private var mayHaveRun = false
    private let maxRedirects: Int

    private static let backOff = BackOff(first: .milliseconds(10), limit: .milliseconds(250))

    init(_ request: Request, start: NIODeadline, deadline: NIODeadline, maxRedirects: Int) {
        self.request = request
        self.start = start
        self.deadline = deadline
        self.maxRedirects = maxRedirects
    }

    mutating func judge(
        _ answer: Call.Answer, node: RedisAddress?, now: NIODeadline,
        using generator: inout some RandomNumberGenerator
    ) -> Verdict {
        asking = nil
        switch answer {
        case .reply(.error(let text), _):
            return judge(error: text, node: node, now: now, using: &generator)
        case .reply(let value, let replicas):
            return .done(value, replicas: replicas)
        case .failure(let fault, let ran):
            if ran { mayHaveRun = true }
            switch fault.kind {
            case .connectionLost, .malformedReply:
                if request.isIdempotent || !ran { return again(fault, .stale, node, now, &generator) }
            case .unavailable:
                let patience = request.patience.map { start + TimeAmount($0) } ?? deadline
                if now < patience { return again(fault, .stale, node, now, &generator) }
                return .fail(error(fault, node))
            default: break
            }
            return .fail(error(fault, node))
        }
    }

    private mutating func judge(
        error text: String, node: RedisAddress?, now: NIODeadline,
        using generator: inout some RandomNumberGenerator
    ) -> Verdict {
        if let node, let redirection = Redirection(text, asked: node) {
            redirects += 1
            guard redirects <= maxRedirects else { return .fail(error(LinkFault(.tooManyRedirects), node)) }
            guard redirection.kind == .ask else {
                return .again(after: .zero, .moved(slot: redirection.slot, redirection.node))
            }
            asking = redirection.node
            return .again(after: .zero, nil)
        }
        let code = text.split(separator: " ").first.map(String.init) ?? "ERR"
        let fault = LinkFault(code == "CROSSSLOT" ? .crossSlot : .reply, code: code)
        switch (code, request.payload) {
        case ("NOSCRIPT", .script) where !usesSource:
            usesSource = true
            return .again(after: .zero, nil)
        case ("TRYAGAIN", _), ("LOADING", _):
            return again(fault, nil, node, now, &generator)
        case ("CLUSTERDOWN", _), ("READONLY", _), ("MASTERDOWN", _):
            return again(fault, .stale, node, now, &generator)
        case (_, .script) where !Self.refusals.contains(code):
            // A script's error may come after its first writes.
            mayHaveRun = true
        default: break
        }
        return .fail(error(fault, node))
    }

    /// Errors that come before a script's first write.
    private static let refusals: Set<String> = [
        "NOSCRIPT", "CROSSSLOT", "OOM", "NOAUTH", "NOPERM", "MISCONF", "NOREPLICAS", "BUSY",
    ]

    private mutating func again(
        _ fault: LinkFault, _ news: News?, _ node: RedisAddress?, _ now: NIODeadline,
        _ generator: inout some RandomNumberGenerator
    ) -> Verdict {
        failures += 1
        let delay = Self.backOff.delay(after: failures, using: &generator)
        guard now + TimeAmount(delay) < deadline else { return .fail(error(fault, node)) }
        return .again(after: delay, news)
    }

    func error(_ fault: LinkFault, _ node: RedisAddress?) -> RedisError {
        RedisError(
            fault.kind, node: node.map { "\($0)" } ?? "", command: request.name, mayHaveRun: mayHaveRun,
            code: fault.code)
    }
}
