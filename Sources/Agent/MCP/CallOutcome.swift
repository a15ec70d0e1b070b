/// Decides what came of a call, and says it to the model: whether it was done, refused, never sent, or nobody knows.

import Synchronization
import Transport

/// Whether a request may be sent, and whether it may have been.
///
/// libcurl sends a request once more where a kept connection was closed before a byte of an answer: a server that executed
/// the first one would execute the second too. So a call that isn't repeatable is let through once.
final class SendPermit: Sendable {
    private let isRepeatable: Bool
    private let count = Atomic<Int>(0)

    init(isRepeatable: Bool) {
        self.isRepeatable = isRepeatable
    }

    /// Asked right before a request's first byte.
    func mayBeSent() -> Bool {
        count.add(1, ordering: .sequentiallyConsistent).oldValue == 0 || isRepeatable
    }

    /// For the request.
    var question: @Sendable () -> Bool {
        { self.mayBeSent() }
    }

    /// Something of the request may have reached the server.
    var wasUsed: Bool { count.load(ordering: .sequentiallyConsistent) > 0 }
}

/// What a reply means for the model that made the call.
struct CallOutcome {
    let tool: Tool
    let server: MCPServerName
    let hidden: HiddenValues

    /// - Parameter wasSent: something of the call may have reached the server.
    func result(of reply: MCPReply, wasSent: Bool) -> ToolResult {
        switch reply {
        case .result(let value): return result(of: value)
        case .error(let error, _):
            let said = error.message.flatMap { hidden.line($0) } ?? "without saying why"
            let code = error.code.map { " (error \($0))" } ?? ""
            return ToolResult(.failed, "The tool server \(server.name) refused the call\(code): \(said)")
        case .refused(let status, let text, _): return refusal(status, text)
        case .unreadable(let what):
            return unknown(
                "its server answered with \(hidden.line(what, limit: 200) ?? "something") that is no result")
        case .ended: return unknown("its server ended the stream without an answer")
        case .tooLarge(let limit):
            let text =
                "The answer of the tool \(tool.name) was too large to be read: more than \(limit) bytes."
            // Asked again, the tool would only answer as much again.
            if tool.isRepeatable { return ToolResult(.failed, text + " Ask it for less.") }
            return ToolResult(.unknown, text + " It probably took effect: don't call it again to find out.")
        case .broken(let error):
            return wasSent ? unknown(ending(of: error)) : notSent(error)
        }
    }

    /// The call was not made, for a reason that was found before.
    func notSent(_ error: MCPError) -> ToolResult {
        ToolResult(.notSent, "The tool \(tool.name) was not called. \(error.message)")
    }

    private func notSent(_ error: TransportError) -> ToolResult {
        notSent(MCPError(transport: error, server: server))
    }

    private func result(of value: [UInt8]) -> ToolResult {
        let result = ToolResultText(result: value)
        switch result.verdict {
        case .done: return ToolResult(.done, result.text(hiding: hidden))
        case .failed: return ToolResult(.failed, result.text(hiding: hidden))
        case .inputRequired:
            return ToolResult(
                .failed,
                "The tool \(tool.name) wants a person's answers before it goes on, which can't be given here. It has not finished."
            )
        case .unreadable: return unknown("its server answered with a result that can't be read")
        }
    }

    private func refusal(_ status: Int, _ text: String?) -> ToolResult {
        // A gateway answers these where it lost the server's answer, and so may a server that broke down half way.
        if status == 408 || status == 499 || (status >= 500 && status != 501 && status != 505) {
            return unknown("its server, or a gateway before it, answered with status \(status)")
        }
        if (200..<300).contains(status) { return unknown("its server gave no answer (status \(status))") }
        let said = text.flatMap { hidden.line($0) }.map { ": \($0)" } ?? "."
        let mend =
            status == 401 || status == 403
            ? " The credentials of \(server.field).headersSecretRef were not accepted."
            : (300..<400).contains(status) ? " The address in \(server.place) leads elsewhere." : ""
        return ToolResult(
            .failed, "The tool server \(server.name) refused the call with status \(status)\(said)\(mend)")
    }

    private func unknown(_ why: String) -> ToolResult {
        let advice =
            tool.isRepeatable
            ? " It can be called again." : " Don't call it again before you know whether it took effect."
        return ToolResult(
            .unknown,
            "The call of the tool \(tool.name) was sent, but \(why). Whether it took effect is not known.\(advice)"
        )
    }

    private func ending(of error: TransportError) -> String {
        switch error.kind {
        case .timeout: "no answer came in time"
        case .cancelled: "it was given up before an answer came"
        case .tooLarge: "the head of its server's answer is too large"
        case .malformedResponse: "its server answered what is not HTTP"
        case .shutdown: "this worker ended before an answer came"
        // Not sent a second time: the first time may have been heard.
        case .withheld: "the connection ended before an answer came"
        default:
            server.isProcess
                ? "its server's process ended before an answer came"
                : "the connection broke off before an answer came"
        }
    }
}
