/// Sends the requests of `httpCall` nodes, each of them a tool with one way to call it, and tells what came of them.
import Logging
import Memory
import PoolAPI
import Transport

struct HTTPCalls: Sendable {
    /// No server of tools can be called so: names in a manifest are in lower case.
    static let sourceName = "HTTP"
    /// Bytes of an answer that are read.
    static let answerLimit = 64 * 1024

    private struct Target: Sendable {
        let call: AgentPoolSpec.Workflow.HTTPCall
        let name: MCPServerName
    }

    private let targets: [String: Target]
    private let headers: @Sendable (ObjectRef) -> [String: String]?
    private let http: HTTPClient
    private let logger: Logger

    /// - Parameter headers: answers a Secret's keys, nil where there is none. Asked at every request.
    init(
        of nodes: [AgentPoolSpec.Workflow.Node],
        headers: @escaping @Sendable (ObjectRef) -> [String: String]?, http: HTTPClient, logger: Logger
    ) {
        var targets: [String: Target] = [:]
        for (index, node) in nodes.enumerated() {
            guard let call = node.httpCall else { continue }
            targets[node.name] = Target(
                call: call,
                name: MCPServerName(name: node.name, field: "spec.workflow.nodes[\(index)].httpCall"))
        }
        self.targets = targets
        self.headers = headers
        self.http = http
        self.logger = logger
    }

    var source: ToolSource {
        ToolSource(
            name: Self.sourceName, callLimit: nil,
            list: { _ in targets.sorted { $0.key < $1.key }.map { Self.tool($0.key, $0.value.call) } },
            call: { tool, arguments, limit in
                guard let target = targets[tool.name] else {
                    return ToolResult(.notSent, "The workflow has no HTTP call \(tool.name).")
                }
                return await send(arguments, to: target, tool, within: limit)
            })
    }

    private static func tool(_ name: String, _ call: AgentPoolSpec.Workflow.HTTPCall) -> Tool {
        Tool(
            name: name, description: "", inputSchema: #"{"type":"object"}"#, isReadOnly: call.method == .get,
            isIdempotent: call.method == .put || call.method == .delete)
    }

    private func send(
        _ arguments: String, to target: Target, _ tool: Tool, within limit: Duration
    ) async -> ToolResult {
        guard let given = JSONValue(json: arguments) else {
            return ToolResult(
                .notSent, "The request was not sent: what fills its templates is nested too deeply.")
        }
        let secret: SecretHeaders
        do throws(MCPError) {
            secret = try SecretHeaders(
                target.call.headersSecretRef.map(headers) ?? [:], of: target.name)
        } catch {
            return told(.notSent, "The request was not sent. \(error.message)", of: tool)
        }
        let permit = SendPermit(isRepeatable: tool.isRepeatable)
        let body = given["body"].map { $0.bytes() }
        let request = HTTPRequest(
            method: target.call.method.rawValue, url: target.call.url + Self.query(given["query"]),
            headers: secret.fields + [("Accept", "application/json, text/*")]
                + (body == nil ? [] : [("Content-Type", "application/json")]),
            body: body, totalTimeout: min(limit, target.call.timeout.duration), mayBeSent: permit.question)
        do throws(TransportError) {
            let response = try await http.execute(request)
            let result = try await Self.result(of: response, secret.hidden)
            if result.outcome != .done {
                // What the server said may be what the guard redacts.
                log("the server answered with status \(response.status)", result.outcome, of: tool)
            }
            return result
        } catch {
            let why = secret.hidden.line(error.message) ?? "the request failed"
            return permit.wasUsed
                ? told(.unknown, "The request was sent, but no whole answer came: \(why).", of: tool)
                : told(.notSent, "The request was not sent: \(why).", of: tool)
        }
    }

    private func told(_ outcome: ToolOutcome, _ text: String, of tool: Tool) -> ToolResult {
        log(text, outcome, of: tool)
        return ToolResult(outcome, text)
    }

    private func log(_ reason: String, _ outcome: ToolOutcome, of tool: Tool) {
        logger.warning(
            "a request of the workflow was not done",
            metadata: ["node": "\(tool.name)", "outcome": "\(outcome.rawValue)", "reason": "\(reason)"])
    }

    private static func result(
        of response: HTTPResponse, _ hidden: HiddenValues
    ) async throws(TransportError) -> ToolResult {
        let isDone = (200..<300).contains(response.status)
        let bytes: [UInt8]
        do throws(TransportError) { bytes = try await response.body.collect(upTo: answerLimit) } catch {
            guard case .tooLarge = error.kind else { throw error }
            return ToolResult(
                isDone ? .done : .failed,
                "[The answer has status \(response.status) and more than \(answerLimit) bytes, and was not read.]"
            )
        }
        let text = hidden.removed(from: String(decoding: bytes, as: UTF8.self))
        if isDone { return ToolResult(.done, text) }
        let said = hidden.line(text).map { ": \($0)" } ?? "."
        return ToolResult(.failed, "The server answered with status \(response.status)\(said)")
    }

    /// `?a=b&c=d`, in the order of the names; empty where there are none.
    private static func query(_ value: JSONValue?) -> String {
        guard case .object(let members)? = value, !members.isEmpty else { return "" }
        return "?"
            + members.sorted { $0.key < $1.key }.map { name, value in
                let text =
                    if case .string(let text) = value { text } else {
                        String(decoding: value.bytes(), as: UTF8.self)
                    }
                return escaped(name) + "=" + escaped(text)
            }.joined(separator: "&")
    }

    /// All but the unreserved characters of RFC 3986, section 2.3.
    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                escaped.unicodeScalars.append(Unicode.Scalar(byte))
            default: escaped += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return escaped
    }
}

extension AgentPoolSpec.Workflow.HTTPCall {
    /// What is recorded of the request, templates still in their places.
    var arguments: JSONValue {
        var members: [String: JSONValue] = [:]
        if !query.isEmpty { members["query"] = .object(query.mapValues(JSONValue.string)) }
        if let body { members["body"] = .object(body) }
        return .object(members)
    }
}
