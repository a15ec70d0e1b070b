/// Several workers of one pool on a real Redis: a session is served in one place, and goes on in another when that is gone.
import Foundation
import TestSupport
import Testing
import Transport

@testable import Worker

private let environment = ProcessInfo.processInfo.environment

/// `AGENTPOOL_STORE_REDIS` names the server, as `host:port`.
@Suite(.enabled(if: environment["AGENTPOOL_STORE_REDIS"] != nil), .timeLimit(.minutes(3)))
struct WorkersOnStoresTests {
    /// A pool of its own, whose model writes so many words a second.
    private func spec(wordsPerSecond: Int = 0, auth: String = "{mode: None}") throws -> String {
        let redis = try #require(environment["AGENTPOOL_STORE_REDIS"])
        return """
            {agents: [{name: assistant, instructions: Help.}], auth: \(auth), drain: {delay: 0s, timeout: 10m},
             models: [{name: builtin, provider: builtin, parameters: {wordsPerSecond: \(wordsPerSecond)}}],
             memory: {scope: test/\(UUID().uuidString), recall: {deadline: 30s, embeddingDeadline: 30s},
               redis: {mode: Standalone, addresses: ["\(redis)"], waitReplicas: 0}}}
            """
    }

    /// Two workers that know of each other.
    private func pair<Result: Sendable>(
        _ spec: String, secrets: [String: [String: String]] = [:],
        _ body: @Sendable (LiveWorker, LiveWorker) async throws -> Result
    ) async throws -> Result {
        try await LiveWorker.run(spec: spec, secrets: secrets) { a async throws in
            try await LiveWorker.run(spec: spec, secrets: secrets) { b async throws in
                for worker in [a, b] {
                    while try await load(worker).pods.count < 2 {
                        try await Task.sleep(for: .milliseconds(50))
                    }
                }
                return try await body(a, b)
            }
        }
    }

    private struct Load: Decodable {
        struct Pod: Decodable {
            var activeSessions: Int
            var draining: Bool
        }
        var activeSessions: Int
        var runningTurns: Int
        var pods: [Pod]
    }

    private func load(_ worker: LiveWorker) async throws -> Load {
        let answer = try await worker.send("GET", "/load", admin: true)
        guard answer.status == 200 else { return Load(activeSessions: 0, runningTurns: 0, pods: []) }
        return try JSONDecoder().decode(Load.self, from: Data(answer.body.utf8))
    }

    private func metric(_ worker: LiveWorker, _ name: String) async throws -> Int {
        let page = try await worker.send("GET", "/metrics", admin: true).body
        let line = page.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line.flatMap { Int($0.dropFirst(name.count + 1)) } ?? 0
    }

    private static let said =
        "Please remember that my locker code is 4711 and that the door is the green one."

    private func begin(
        _ worker: LiveWorker, turn: String, session: String = "s", after last: String? = nil
    ) async throws -> HTTPResponse {
        var headers = [(name: "X-AgentPool-User", value: "u")]
        if let last { headers.append((name: "Last-Event-ID", value: last)) }
        return try await worker.client.execute(
            HTTPRequest(
                method: "POST", url: worker.url + "/v1/sessions/\(session)/turns", headers: headers,
                body: Array(#"{"input":"\#(Self.said)","turn_id":"\#(turn)"}"#.utf8)))
    }

    private func follow(
        _ worker: LiveWorker, after last: String?, session: String = "s"
    ) async throws -> HTTPResponse {
        var headers = [(name: "X-AgentPool-User", value: "u")]
        if let last { headers.append((name: "Last-Event-ID", value: last)) }
        return try await worker.client.execute(
            HTTPRequest(url: worker.url + "/v1/sessions/\(session)/events", headers: headers))
    }

    /// What arrives until `isEnough`, or to the stream's end.
    private func read(_ response: HTTPResponse, until isEnough: (Seen) -> Bool = { _ in false }) async throws
        -> Seen
    {
        var parser = ServerSentEventParser(maxEventBytes: 1 << 20)
        var seen = Seen()
        for try await chunk in response.body {
            var events: [ServerSentEvent] = []
            try parser.feed(chunk, into: &events)
            for event in events { seen.take(event) }
            if isEnough(seen) { break }
        }
        return seen
    }

    private struct Seen: Sendable {
        var names: [String] = []
        var ids: [String] = []
        var text = ""

        mutating func take(_ event: ServerSentEvent) {
            struct Delta: Decodable { var text: String }
            names.append(event.event)
            if event.event == "turn.restarted" { text = "" }
            if event.event == "text.delta",
                let delta = try? JSONDecoder().decode(Delta.self, from: Data(event.text.utf8))
            {
                text += delta.text
            }
            if let id = event.id, event.event != "reconnect", event.event != "error" { ids.append(id) }
        }

        var deltas: Int { names.filter { $0 == "text.delta" }.count }
        var isWhole: Bool { names.contains("turn.completed") }
    }

    private func stored(_ worker: LiveWorker, session: String = "s") async throws -> [String] {
        struct Page: Decodable {
            struct Message: Decodable {
                var role: String
                var content: String
            }
            var data: [Message]
        }
        let answer = try await worker.send(
            "GET", "/v1/sessions/\(session)/messages", headers: [(name: "X-AgentPool-User", value: "u")])
        // No turn of it is stored.
        if answer.status == 404 { return [] }
        return try JSONDecoder().decode(Page.self, from: Data(answer.body.utf8)).data
            .filter { $0.role == "assistant" }.map(\.content)
    }

    @Test(
        "A session's requests go to the worker that has it, whichever is asked, and it stays in memory there")
    func relay() async throws {
        try await pair(try spec()) { a, b async throws in
            #expect(
                try await a.chat("My locker code is 4711.", session: "s").headers["x-memory-tier"] == "new")
            for index in 0..<4 {
                let answer = try await (index % 2 == 0 ? b : a).chat("What is my locker code?", session: "s")
                #expect(answer.status == 200 && answer.body.contains("4711"))
                #expect(answer.headers["x-memory-tier"] == "l1")
            }
            let turn = try await read(try await begin(b, turn: "t"))
            #expect(turn.isWhole)
            #expect(try await metric(b, "agentpool_requests_relayed_total") == 3)
            #expect(try await metric(b, "agentpool_turns_total{ending=\"complete\"}") == 0)
            // Another session is whoever's gets it first.
            #expect(try await b.chat("Hello there.", session: "other").status == 200)
            #expect(try await metric(b, "agentpool_requests_relayed_total") == 3)
        }
    }

    @Test("Every worker tells the load of the whole pool, each session once")
    func poolLoad() async throws {
        try await pair(try spec()) { a, b async throws in
            for index in 0..<3 { _ = try await a.chat("Hello there.", session: "a\(index)") }
            for index in 0..<2 { _ = try await b.chat("Hello there.", session: "b\(index)") }
            for index in 0..<3 { _ = try await b.chat("Hello again.", session: "a\(index)") }
            for worker in [a, b] {
                while try await load(worker).activeSessions != 5 {
                    try await Task.sleep(for: .milliseconds(50))
                }
                #expect(try await load(worker).pods.map(\.activeSessions).sorted() == [2, 3])
            }
        }
    }

    @Test("A client that comes back at another worker is told the rest of its turn, each event once")
    func resumeElsewhere() async throws {
        try await pair(try spec(wordsPerSecond: 3)) { a, b async throws in
            let first = try await read(try await begin(a, turn: "t")) { $0.deltas >= 3 }
            let rest = try await read(try await follow(b, after: first.ids.last)) { $0.isWhole }
            #expect(rest.isWhole && !rest.names.contains("turn.restarted"))
            #expect(Set(first.ids).isDisjoint(with: rest.ids))
            #expect(try await stored(a) == [first.text + rest.text])
            // Sent again under its id, the turn is told from where the client was.
            let again = try await read(try await begin(b, turn: "t", after: first.ids.last))
            #expect(again.ids == rest.ids)
        }
    }

    @Test(
        "A turn that runs is followed by whoever sends it again, at any worker, and the model is asked once")
    func sentAgain() async throws {
        try await pair(try spec(wordsPerSecond: 3)) { a, b async throws in
            async let first = read(try await begin(a, turn: "t"))
            while try await load(a).runningTurns == 0 { try await Task.sleep(for: .milliseconds(20)) }
            let (here, there) = try await (read(begin(a, turn: "t")), read(begin(b, turn: "t")))
            let whole = try await first
            #expect(whole.isWhole)
            #expect(here.text == whole.text && there.text == whole.text)
            #expect(try await stored(b) == [whole.text])
            #expect(try await metric(a, "agentpool_turns_total{ending=\"complete\"}") == 1)
            #expect(try await metric(b, "agentpool_turns_total{ending=\"complete\"}") == 0)
        }
    }

    @Test("What a client missed of a turn whose worker has ended since, it is told by another")
    func afterDrain() async throws {
        let spec = try spec()
        try await LiveWorker.run(spec: spec) { b async throws in
            let turn = try await LiveWorker.run(spec: spec) { a async throws in
                try await read(try await begin(a, turn: "t"))
            }
            let last = turn.ids[5]
            let rest = try await read(try await follow(b, after: last)) { $0.isWhole }
            #expect(rest.ids == Array(turn.ids.dropFirst(6)))
        }
    }

    @Test("A turn that its worker had to give up is run again by the next one, and stored once")
    func restart() async throws {
        let spec = try spec(wordsPerSecond: 3)
        try await LiveWorker.run(spec: spec) { b async throws in
            let cut = try await LiveWorker.run(spec: spec) { a async throws in
                let response = try await begin(a, turn: "t")
                let seen = try await read(response) { $0.deltas >= 3 }
                return try await withThrowingTaskGroup(of: Void.self) { tasks in
                    tasks.addTask { _ = try await a.send("POST", "/drain", "", admin: true) }
                    while try await a.send("GET", "/readyz", admin: true).status == 200 {
                        try await Task.sleep(for: .milliseconds(10))
                    }
                    a.hurry()
                    try await tasks.waitForAll()
                    return seen
                }
            }
            #expect(try await stored(b).isEmpty)
            let whole = try await read(try await follow(b, after: cut.ids.last)) { $0.isWhole }
            #expect(whole.names.first == "turn.restarted" && whole.ids.first == "t.2.1")
            #expect(try await stored(b) == [whole.text])
        }
    }

    @Test("A draining worker hands new turns to another, and finishes its own")
    func drainHandsOn() async throws {
        try await pair(try spec(wordsPerSecond: 3)) { a, b async throws in
            async let running = read(try await begin(a, turn: "t"))
            while try await load(a).runningTurns == 0 { try await Task.sleep(for: .milliseconds(20)) }
            async let drained = a.send("POST", "/drain", "", admin: true)
            while try await a.send("GET", "/readyz", admin: true).status == 200 {
                try await Task.sleep(for: .milliseconds(10))
            }
            let late = try await a.chat("Hello there.", session: "late")
            #expect(late.status == 200)
            #expect(try await metric(b, "agentpool_turns_total{ending=\"complete\"}") == 1)
            #expect(try await running.isWhole)
            #expect(try await drained.status == 200)
        }
    }

    @Test(
        "A worker that ends tells those whom another one answers: followers to reconnect, the rest that it had to end"
    )
    func relaysEnd() async throws {
        try await pair(try spec(wordsPerSecond: 2)) { a, b async throws in
            let own = try await begin(a, turn: "u")
            // Whose the session is, is written behind the turn's first events.
            try await Task.sleep(for: .seconds(1))
            let followed = try await follow(b, after: nil)
            let running = try await begin(b, turn: "u")
            #expect(try await metric(b, "agentpool_requests_relayed_total") == 2)
            async let drained = b.send("POST", "/drain", "", admin: true)
            let farewell = try await read(followed)
            #expect(farewell.names.last == "reconnect" && !farewell.names.contains("error"))
            b.hurry()
            let cut = try await read(running)
            #expect(cut.names.last == "error" && !cut.isWhole)
            #expect(try await drained.status == 504)
            // The turn has run on where it was.
            let whole = try await read(own)
            #expect(whole.isWhole && !whole.names.contains("turn.restarted"))
        }
    }

    @Test("A response goes on at whichever worker is asked, and one that is cut on its way says so")
    func responses() async throws {
        struct Named: Decodable { var id: String }
        try await pair(try spec(wordsPerSecond: 2)) { a, b async throws in
            let user = [(name: "X-AgentPool-User", value: "u")]
            let first = try await a.send("POST", "/v1/responses", #"{"input":"Hello there."}"#, headers: user)
            let id = try JSONDecoder().decode(Named.self, from: Data(first.body.utf8)).id
            let stored = try await b.send("GET", "/v1/responses/\(id)", headers: user)
            #expect(stored.status == 200 && stored.body.contains(#""status":"completed""#))
            // Whose the session is, is written behind the turn's first events.
            try await Task.sleep(for: .seconds(1))
            let running = try await b.client.execute(
                HTTPRequest(
                    method: "POST", url: b.url + "/v1/responses", headers: user,
                    body: Array(
                        #"{"input":"\#(Self.said)","previous_response_id":"\#(id)","stream":true}"#.utf8)))
            #expect(running.status == 200 && running.headers["x-memory-tier"] == "l1")
            #expect(try await metric(b, "agentpool_requests_relayed_total") == 1)
            async let drained = b.send("POST", "/drain", "", admin: true)
            // A signal before the drain has begun would be its first.
            while try await b.send("GET", "/readyz", admin: true).status == 200 {
                try await Task.sleep(for: .milliseconds(10))
            }
            b.hurry()
            let cut = try await read(running)
            #expect(cut.names.first == "response.created" && cut.names.last == "error")
            #expect(!cut.names.contains("response.completed"))
            #expect(try await drained.status == 504)
        }
    }

    @Test("A worker without a free place hands on what is another's, and does not have it wait")
    func fullWorker() async throws {
        let spec = try spec(wordsPerSecond: 2).replacing(
            "drain:", with: "concurrency: {maxRunningTurns: 1, maxQueuedTurns: 1, turnTimeout: 10m}, drain:")
        try await pair(spec) { a, b async throws in
            let full = try await begin(a, turn: "t", session: "a")
            let theirs = try await begin(b, turn: "u", session: "b")
            try await Task.sleep(for: .seconds(1))
            // Of b's session, by way of a, while a's own turn runs on.
            let joined = try await begin(a, turn: "u", session: "b")
            #expect(try await read(joined) { $0.deltas > 0 }.deltas > 0)
            #expect(try await metric(a, "agentpool_requests_relayed_total") == 1)
            #expect(try await metric(a, "agentpool_turns_total{ending=\"complete\"}") == 0)
            #expect(try await read(theirs).isWhole)
            #expect(try await read(full).isWhole)
        }
    }

    @Test("The peer port takes nothing that is not signed by a worker of the pool")
    func peerPort() async throws {
        try await LiveWorker.run(spec: try spec()) { worker async throws in
            let url = try #require(worker.peerURL)
            func status(_ headers: [(name: String, value: String)]) async throws -> Int {
                let response = try await worker.client.execute(
                    HTTPRequest(
                        method: "POST", url: url + "/v1/chat/completions", headers: headers,
                        body: Array(#"{"messages":[{"role":"user","content":"hello"}]}"#.utf8)))
                _ = try await response.body.collect(upTo: 1 << 16)
                return response.status
            }
            #expect(try await status([]) == 421)
            #expect(try await status([(name: "Authorization", value: "Bearer x")]) == 421)
            #expect(try await metric(worker, "agentpool_requests_refused_total{status=\"421\"}") == 2)
        }
    }

    @Test("A relayed request speaks for the key and the user that it came with, and for nobody else")
    func principals() async throws {
        let spec = try spec(auth: "{apiKeysSecretRef: {name: keys}, trustedKeys: [shop]}")
        let secrets = ["keys": ["shop": "key-1", "other": "key-2"]]
        try await pair(spec, secrets: secrets) { a, b async throws in
            func say(_ worker: LiveWorker, _ text: String, key: String, user: String?) async throws -> String
            {
                try await worker.chat(
                    text, session: "s", user: user, headers: [(name: "Authorization", value: "Bearer \(key)")]
                ).body
            }
            _ = try await say(a, "My locker code is 4711.", key: "key-1", user: "ann")
            #expect(try await say(b, "What is my locker code?", key: "key-1", user: "ann").contains("4711"))
            #expect(try await metric(b, "agentpool_requests_relayed_total") == 1)
            #expect(try await !say(b, "What is my locker code?", key: "key-1", user: "bob").contains("4711"))
            #expect(try await !say(b, "What is my locker code?", key: "key-2", user: nil).contains("4711"))
            #expect(
                try await say(b, "Hello there.", key: "key-2", user: "ann").contains("end_user_not_allowed"))
            #expect(try await say(b, "Hello there.", key: "wrong", user: nil).contains("invalid_api_key"))
        }
    }
}
