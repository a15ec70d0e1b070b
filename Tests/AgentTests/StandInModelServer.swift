import Agent
import Foundation
import Logging
import Memory
import PoolAPI
import Subprocesses
import Transport

/// The stand-in model server of `Fixtures/model_server.py` as a process, and the real HTTP client that
/// reaches it. One of each serves all tests.
struct StandInModelServer: Sendable {
    static let shared = Result { try StandInModelServer() }

    let port: Int
    let http: HTTPClient
    let logger: Logger
    private let process: Subprocess

    private init() throws {
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "Fixtures/model_server.py")
        process = try Subprocess(["python3", script.path])
        let line = process.line() ?? ""
        guard let port = Int(line.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw StandInError(description: "the stand-in model server did not start: \(line)")
        }
        self.port = port
        var quiet = Logger(label: "tests")
        quiet.logLevel = .critical
        logger = quiet
        http = HTTPClient(logger: quiet)
    }

    var baseURL: String { "http://127.0.0.1:\(port)/v1" }

    /// A pool of one agent that talks to the stand-in under this model's name.
    func spec(model: String, tools: String = "[]", more: String = "") throws -> AgentPoolSpec {
        try AgentPoolSpec.parse(
            yaml: """
                models: [{name: chat, provider: openai, baseURL: "\(baseURL)", model: "\(model)", parameters: {temperature: 0.2}}]
                entryAgent: assistant
                agents: [{name: assistant, instructions: You help., model: chat, tools: \(tools)}]
                \(more)
                """)
    }

    func engine(_ spec: AgentPoolSpec, tools: [ToolSource] = []) throws -> TurnEngine {
        try TurnEngine(
            spec: spec, tools: tools, secrets: { _ in nil }, http: http, logger: logger,
            now: { 1_700_000_000_000 })
    }

    func chatModel(
        _ model: String, secrets: @escaping @Sendable (SecretKeyRef) -> String? = { _ in nil },
        change: (inout AgentPoolSpec.Model) -> Void = { _ in }
    ) throws -> OpenAIChatModel {
        var entry = try spec(model: model).models[0]
        change(&entry)
        return OpenAIChatModel(entry, field: "spec.models[0]", http: http, secrets: secrets)
    }

    /// What the server has seen of one model.
    struct Seen: Decodable {
        struct Request: Decodable {
            var authorization: String?
            var path: String
            var body: JSONValue
        }

        var requests: [Request]
        var open: Int
        var left: Int
    }

    func seen(_ model: String) async throws -> Seen {
        let name = model.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? model
        let response = try await http.execute(HTTPRequest(url: "http://127.0.0.1:\(port)/seen?model=\(name)"))
        return try JSONDecoder().decode(Seen.self, from: Data(try await response.body.collect(upTo: 1 << 20)))
    }

    /// Asks until `condition` holds: the server learns of a closed connection a moment after it closed.
    func eventually(_ model: String, _ condition: (Seen) -> Bool) async throws -> Bool {
        for _ in 0..<500 {
            if condition(try await seen(model)) { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    /// A model's name that no other test uses.
    static func unique(_ mode: String) -> String { "\(mode)#\(UInt64.random(in: .min ... .max))" }
}

struct StandInError: Error, CustomStringConvertible {
    var description: String
}

extension ChatModel {
    /// The whole reply to one user message, chunk by chunk, and the error that ended it.
    func chunks(_ text: String, sampling: SamplingOverrides = SamplingOverrides()) async -> (
        [[ChatDelta]], ModelError?
    ) {
        var chunks: [[ChatDelta]] = []
        do {
            let prompt = Prompt(instructions: "You help.", newMessages: [Message(role: .user, content: text)])
            var reply = try await open(ChatRequest(prompt: prompt, sampling: sampling))
            while let deltas = try await reply.next() { chunks.append(deltas) }
            return (chunks, nil)
        } catch {
            return (chunks, error)
        }
    }

    func reply(_ text: String) async -> (text: String, error: ModelError?) {
        let (chunks, error) = await chunks(text)
        return (chunks.joined().text, error)
    }
}

extension Sequence<ChatDelta> {
    var text: String {
        reduce(into: "") { text, delta in
            if case .text(let piece) = delta { text += piece }
        }
    }
}
