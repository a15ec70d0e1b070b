/// `agentpool chat`: a terminal client that streams a session's turns and shows what the agent remembers.
import Agent
import ArgumentParser
import Foundation
import Logging
import Transport

struct Chat: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Talk to a pool from the terminal.",
        discussion:
            "Reads one message a line until the end of input. The API key is read from AGENTPOOL_API_KEY.")

    @Option(help: "The pool's public address.")
    var url = "http://127.0.0.1:8080"

    @Option(help: "The session to go on with. Default: a new one.")
    var session: String?

    @Option(help: "The end user's name, where the key may set it.")
    var user: String?

    @Option(help: "The agent to talk to. Default: whoever spoke last, or the pool's entry agent.")
    var agent: String?

    func run() async throws {
        LogOutput.bootstrap(level: .error)
        let client = HTTPClient(logger: Logger(label: "agentpool"))
        let session = session ?? "chat-" + String(UInt64.random(in: .min ... .max), radix: 36)
        let interactive = isatty(STDIN_FILENO) == 1
        show("session \(session) at \(url)\n")
        var failed = false
        while let line = prompt(interactive) {
            guard !line.isEmpty else { continue }
            do {
                try await turn(line, session, client)
            } catch {
                failed = true
                FileHandle.standardError.write(Data("agentpool: \(error)\n".utf8))
            }
        }
        await client.shutdown()
        if failed { throw ExitCode.failure }
    }

    private func prompt(_ interactive: Bool) -> String? {
        if interactive { show("\n> ") }
        return readLine()
    }

    /// One turn to its end. Where the connection or the worker is lost on the way, the turn is sent again under its id: it goes on
    /// where it was, or begins anew and says so.
    private func turn(_ text: String, _ session: String, _ client: HTTPClient) async throws {
        var json = JSONWriter()
        json.beginObject()
        json.field("input", text)
        json.field("turn_id", "chat-" + String(UInt64.random(in: .min ... .max), radix: 36))
        if let agent { json.field("agent", agent) }
        json.endObject()
        let name = session.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? session
        var request = HTTPRequest(method: "POST", url: "\(url)/v1/sessions/\(name)/turns", body: json.bytes)
        request.headers.append((name: "Content-Type", value: "application/json"))
        if let user { request.headers.append((name: "X-AgentPool-User", value: user)) }
        if let key = ProcessInfo.processInfo.environment["AGENTPOOL_API_KEY"] {
            request.headers.append((name: "Authorization", value: "Bearer \(key)"))
        }
        var lastEvent: String?
        for attempt in 1...Self.attempts {
            var again = request
            if let lastEvent { again.headers.append((name: "Last-Event-ID", value: lastEvent)) }
            let lost: String
            do {
                if try await follow(again, client, &lastEvent) { return show("\n") }
                lost = "the worker has to end"
            } catch let error as TransportError {
                lost = error.message
            } catch let busy as ChatBusy {
                lost = busy.message
            }
            guard attempt < Self.attempts else { throw ChatFailure(message: lost) }
            FileHandle.standardError.write(Data("\nagentpool: \(lost); trying again\n".utf8))
            try await Task.sleep(for: .seconds(1))
        }
    }

    /// How often one turn is sent.
    private static let attempts = 6

    /// - Parameter lastEvent: the id of the last event that was seen, kept up to date.
    /// - Returns: whether the turn has come to its end.
    private func follow(
        _ request: HTTPRequest, _ client: HTTPClient, _ lastEvent: inout String?
    ) async throws -> Bool {
        let response = try await client.execute(request)
        guard response.status == 200 else {
            let body = try await response.body.collect(upTo: 64 * 1024)
            let message =
                Self.field("message", String(decoding: body, as: UTF8.self)) ?? "HTTP \(response.status)"
            if [429, 502, 503, 504].contains(response.status) { throw ChatBusy(message: message) }
            throw ChatFailure(message: message)
        }
        var parser = ServerSentEventParser(maxEventBytes: 1 << 20)
        var events: [ServerSentEvent] = []
        for try await chunk in response.body {
            events.removeAll(keepingCapacity: true)
            try parser.feed(chunk, into: &events)
            for event in events {
                lastEvent = event.id ?? lastEvent
                try show(event)
                if event.event == "turn.completed" { return true }
            }
        }
        return false
    }

    private func show(_ event: ServerSentEvent) throws {
        switch event.event {
        case "text.delta": show(Self.field("text", event.text) ?? "")
        case "turn.restarted": show("\n[begins again]\n")
        case "tool.call": show("[calls \(Self.field("name", event.text) ?? "a tool")]\n")
        case "memory.recalled":
            let memories = Self.recalled(event.text)
            if !memories.isEmpty { show("[recalls \(memories.count): \(memories[0].prefix(80))]\n") }
        case "turn.failed": throw ChatFailure(message: Self.field("message", event.text) ?? "the turn failed")
        default: break
        }
    }

    private func show(_ text: String) {
        FileHandle.standardOutput.write(Data(text.utf8))
    }

    private static func recalled(_ text: String) -> [String] {
        struct Event: Decodable {
            struct Memory: Decodable { var text: String }
            var memories: [Memory]
        }
        // An event of a newer worker that reads otherwise is not worth ending the chat for.
        return (try? JSONDecoder().decode(Event.self, from: Data(text.utf8)))?.memories.map(\.text) ?? []
    }

    /// A member of an event, or of its `error`.
    private static func field(_ name: String, _ text: String) -> String? {
        struct Fields: Decodable {
            var text: String?
            var name: String?
            var error: Failure?
            struct Failure: Decodable { var message: String? }
        }
        guard let fields = try? JSONDecoder().decode(Fields.self, from: Data(text.utf8)) else { return nil }
        switch name {
        case "text": return fields.text
        case "name": return fields.name
        default: return fields.error?.message
        }
    }
}

/// A worker that can't take the turn now.
private struct ChatBusy: Error {
    var message: String
}

struct ChatFailure: Error, CustomStringConvertible {
    var message: String
    var description: String { message }
}
