/// A worker on real sockets: what its clients meet, from the first byte to the drain.
import Foundation
import NIOCore
import NIOPosix
import TestSupport
import Testing
import Transport

@testable import Worker

@Suite("A worker", .serialized)
struct LiveWorkerTests {
    @Test("remembers a session across a restart, and says which tier it came from")
    func restart() async throws {
        let directory = TemporaryDirectory()
        try await LiveWorker.run(directory: directory) { worker async throws in
            let first = try await worker.chat("My locker code is 4711.", session: "s")
            #expect(first.status == 200)
            #expect(first.headers["x-memory-tier"] == "new")
            let second = try await worker.chat("What is my locker code?", session: "s")
            #expect(second.headers["x-memory-tier"] == "l1")
            #expect(second.body.contains("4711"))
        }
        try await LiveWorker.run(directory: directory) { worker async throws in
            let third = try await worker.chat("What is my locker code?", session: "s")
            #expect(third.headers["x-memory-tier"] == "l2")
            #expect(third.body.contains("4711"))
        }
    }

    @Test("answers a turn id that it knows from its history, once")
    func idempotency() async throws {
        try await LiveWorker.run { worker async throws in
            let key = [(name: "Idempotency-Key", value: "k1")]
            let first = try await worker.chat("Hello there, note this.", session: "s", headers: key)
            let again = try await worker.chat("Hello there, note this.", session: "s", headers: key)
            #expect(first.status == 200 && again.status == 200)
            #expect(again.headers["x-turn-id"] == "k1")
            #expect(try await turns(worker, "s") == 1)
        }
    }

    @Test("finds an SDK's retry by its equal body, also where the lost answer had named the session")
    func sdkRetry() async throws {
        try await LiveWorker.run { worker async throws in
            let body = #"{"model":"assistant","messages":[{"role":"user","content":"note: blue"}]}"#
            let user = (name: "X-AgentPool-User", value: "u")
            let first = try await worker.send(
                "POST", "/v1/chat/completions", body,
                headers: [user, (name: "x-stainless-retry-count", value: "0")])
            let again = try await worker.send(
                "POST", "/v1/chat/completions", body,
                headers: [user, (name: "x-stainless-retry-count", value: "1")])
            let session = try #require(first.headers["x-session-id"])
            #expect(again.headers["x-session-id"] == session)
            #expect(again.headers["x-turn-id"] == first.headers["x-turn-id"])
            #expect(try await turns(worker, session) == 1)
        }
    }

    @Test("keeps a user's memories from every other user")
    func principals() async throws {
        try await LiveWorker.run { worker async throws in
            _ = try await worker.chat("The vault word is xylophone.", session: "a", user: "ann")
            func search(_ user: String) async throws -> String {
                try await worker.send(
                    "POST", "/v1/memories/search", #"{"query":"vault word"}"#,
                    headers: [(name: "X-AgentPool-User", value: user)]
                ).body
            }
            #expect(try await search("ann").contains("xylophone"))
            #expect(try await !search("bob").contains("xylophone"))
            #expect(
                try await worker.send(
                    "GET", "/v1/sessions/a", headers: [(name: "X-AgentPool-User", value: "bob")]
                ).status == 404)
        }
    }

    @Test("forgets a session in every tier, and starts anew under its id")
    func forget() async throws {
        let user = [(name: "X-AgentPool-User", value: "u")]
        try await LiveWorker.run { worker async throws in
            _ = try await worker.chat("The vault word is xylophone.", session: "s")
            let forgotten = try await worker.send("DELETE", "/v1/sessions/s", headers: user)
            #expect(forgotten.status == 200)
            #expect(try await worker.send("GET", "/v1/sessions/s", headers: user).status == 404)
            let found = try await worker.send(
                "POST", "/v1/memories/search", #"{"query":"vault word xylophone"}"#, headers: user)
            #expect(!found.body.contains("xylophone"))
            #expect(
                try await worker.chat("Hello again, friend.", session: "s").headers["x-memory-tier"] == "new")
        }
    }

    @Test("streams a native turn, and lets others follow it")
    func nativeTurns() async throws {
        try await LiveWorker.run { worker async throws in
            let follow = try await worker.client.execute(
                HTTPRequest(
                    method: "GET", url: worker.url + "/v1/sessions/s/events",
                    headers: [(name: "X-AgentPool-User", value: "u")]))
            #expect(follow.status == 200)
            let turn = try await worker.send(
                "POST", "/v1/sessions/s/turns", #"{"input":"My cat is Tom.","turn_id":"t1"}"#,
                headers: [(name: "X-AgentPool-User", value: "u")])
            #expect(turn.headers["content-type"]?.hasPrefix("text/event-stream") == true)
            #expect(turn.body.contains("event: turn.started\nid: t1.1.1\n"))
            #expect(turn.body.contains("event: text.delta\n"))
            #expect(turn.body.contains("event: turn.completed\n"))
            var followed = ""
            for try await chunk in follow.body {
                followed += String(decoding: chunk, as: UTF8.self)
                if followed.contains("event: turn.completed\n") { break }
            }
            #expect(followed.contains("event: turn.completed\n"))

            let resumed = try await worker.client.execute(
                HTTPRequest(
                    method: "GET", url: worker.url + "/v1/sessions/s/events",
                    headers: [
                        (name: "X-AgentPool-User", value: "u"), (name: "Last-Event-ID", value: "t1.1.1"),
                    ]))
            var missed = ""
            for try await chunk in resumed.body {
                missed += String(decoding: chunk, as: UTF8.self)
                if missed.contains("event: turn.completed\n") { break }
            }
            #expect(!missed.contains("turn.started"))
        }
    }

    @Test("pages through a history")
    func messages() async throws {
        let user = [(name: "X-AgentPool-User", value: "u")]
        try await LiveWorker.run { worker async throws in
            for index in 1...5 { _ = try await worker.chat("Remember the number \(index).", session: "s") }
            let all = try await worker.send("GET", "/v1/sessions/s/messages", headers: user)
            #expect(all.body.components(separatedBy: "\"role\":\"user\"").count - 1 == 5)
            #expect(all.body.hasSuffix("\"has_more\":false}"))
            let page = try await worker.send("GET", "/v1/sessions/s/messages?after=1&limit=2", headers: user)
            #expect(page.body.contains("number 2") && page.body.contains("number 3"))
            #expect(!page.body.contains("number 1.") && !page.body.contains("number 4"))
            #expect(page.body.hasSuffix("\"has_more\":true}"))
            let end = try await worker.send("GET", "/v1/sessions/s/messages?after=5", headers: user)
            #expect(end.body == #"{"object":"list","data":[],"has_more":false}"#)
        }
    }

    @Test("answers pipelined requests one after the other, in order")
    func pipelining() async throws {
        try await LiveWorker.run { worker async throws in
            let request = "GET /v1/models/assistant HTTP/1.1\r\nHost: x\r\n\r\n"
            let bad = "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            let answer = try await raw(worker, request + request + bad)
            let statuses = answer.components(separatedBy: "HTTP/1.1 ").dropFirst().map { $0.prefix(3) }
            #expect(statuses == ["200", "200", "404"])
        }
    }

    @Test("refuses what is malformed, too large or too slow with a status that says so")
    func refusals() async throws {
        try await LiveWorker.run(adjust: { settings in
            settings.limits.maxBodyBytes = 1000
            settings.limits.headTimeout = .milliseconds(300)
            settings.limits.bodyTimeout = .milliseconds(300)
        }) { worker async throws in
            #expect(try await raw(worker, "NONSENSE\r\n\r\n").hasPrefix("HTTP/1.1 400"))
            let large = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n"
            #expect(try await raw(worker, large).hasPrefix("HTTP/1.1 413"))
            let headers = "GET / HTTP/1.1\r\nHost: x\r\nA: \(String(repeating: "a", count: 20_000))\r\n\r\n"
            #expect(try await raw(worker, headers).hasPrefix("HTTP/1.1 431"))
            #expect(try await raw(worker, "GET / HTTP/1.1\r\nHos").hasPrefix("HTTP/1.1 408"))
            let slow = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"
            #expect(try await raw(worker, slow).hasPrefix("HTTP/1.1 408"))
        }
    }

    @Test("answers the probes, the load signal and the metrics, and drains only for its own machine")
    func admin() async throws {
        try await LiveWorker.run { worker async throws in
            _ = try await worker.chat("Hello, remember me.", session: "s")
            for probe in ["/livez", "/startupz"] {
                #expect(try await worker.send("GET", probe, admin: true).status == 200)
            }
            // Ready once the stores have been asked, which nothing waits for.
            while try await worker.send("GET", "/readyz", admin: true).status != 200 {
                try await Task.sleep(for: .milliseconds(20))
            }
            let load = try await worker.send("GET", "/load", admin: true).body
            #expect(
                load
                    == #"{"activeSessions":1,"runningTurns":0,"pendingRequests":0,"pods":[{"name":"test-pod","activeSessions":1,"runningTurns":0,"pendingRequests":0,"draining":false}]}"#
            )
            let metrics = try await worker.send("GET", "/metrics", admin: true).body
            #expect(metrics.contains("agentpool_turns_total{ending=\"complete\"} 1\n"))
            #expect(try await worker.send("GET", "/v1/models", admin: true).status == 404)
        }
    }

    @Test(
        "drains when it is asked to: answers what runs, refuses what comes, tells event streams to reconnect")
    func drain() async throws {
        try await LiveWorker.run { worker async throws in
            let stream = try await worker.client.execute(
                HTTPRequest(method: "GET", url: worker.url + "/v1/sessions/s/events"))
            let drained = try await worker.send("POST", "/drain", "", admin: true)
            #expect(drained.status == 200)
            var farewell = ""
            for try await chunk in stream.body { farewell += String(decoding: chunk, as: UTF8.self) }
            #expect(farewell.contains("event: reconnect\n"))
            #expect(try await worker.send("GET", "/readyz", admin: true).status == 503)
        }
    }

    private static let slowly = """
        {agents: [{name: assistant, instructions: Help.}], auth: {mode: None}, drain: {delay: 0s, timeout: 10m},
         models: [{name: builtin, provider: builtin, parameters: {wordsPerSecond: 2}}]}
        """

    @Test("tells who still waits for a reply that it has to end, where nobody can wait for the drain")
    func hurried() async throws {
        let said =
            "Please remember that my locker code is 4711 and that the door is the green one on the left."
        let replies = try await LiveWorker.run(spec: Self.slowly) { worker async throws in
            let chat = try await worker.client.execute(
                HTTPRequest(
                    method: "POST", url: worker.url + "/v1/chat/completions",
                    headers: [(name: "X-Session-Id", value: "chat")],
                    body: Array(
                        #"{"model":"assistant","stream":true,"messages":[{"role":"user","content":"\#(said)"}]}"#
                            .utf8)))
            let native = try await worker.client.execute(
                HTTPRequest(
                    method: "POST", url: worker.url + "/v1/sessions/native/turns",
                    body: Array(#"{"input":"\#(said)","turn_id":"t"}"#.utf8)))
            let response = try await worker.client.execute(
                HTTPRequest(
                    method: "POST", url: worker.url + "/v1/responses",
                    body: Array(#"{"conversation":"response","stream":true,"input":"\#(said)"}"#.utf8)))
            return try await withThrowingTaskGroup(of: String.self) { tasks in
                for body in [chat.body, native.body, response.body] {
                    tasks.addTask { String(decoding: try await body.collect(upTo: 1 << 20), as: UTF8.self) }
                }
                tasks.addTask { try await worker.send("POST", "/drain", "", admin: true).body }
                // A signal before the drain has begun would be its first.
                while try await worker.send("GET", "/readyz", admin: true).status == 200 {
                    try await Task.sleep(for: .milliseconds(10))
                }
                worker.hurry()
                var replies: [String] = []
                for try await reply in tasks { replies.append(reply) }
                return replies
            }
        }
        #expect(replies.count == 4)
        #expect(replies.contains { $0.contains("event: response.failed\n") })
        for reply in replies where !reply.contains("drain.timeout") {
            #expect(reply.contains(#""code":"worker_ended""#))
            #expect(!reply.contains("[DONE]") && !reply.contains("turn.completed"))
            #expect(!reply.contains("response.completed"))
        }
        #expect(replies.contains { $0.contains("drain.timeout") })
    }

    @Test("says something on a silent stream before a proxy would cut it")
    func heartbeats() async throws {
        try await LiveWorker.run(adjust: { $0.limits.heartbeat = .milliseconds(100) }) {
            worker async throws in
            let stream = try await worker.client.execute(
                HTTPRequest(method: "GET", url: worker.url + "/v1/sessions/s/events"))
            var comments = 0
            for try await chunk in stream.body {
                comments += String(decoding: chunk, as: UTF8.self).components(separatedBy: ":\n\n").count - 1
                if comments >= 2 { break }
            }
            #expect(comments >= 2)
        }
    }

    @Test("answers a connection beyond its limit with 503 and when to come again")
    func connectionLimit() async throws {
        try await LiveWorker.run(adjust: { $0.maxConnections = 1 }) { worker async throws in
            let held = try await worker.client.execute(
                HTTPRequest(method: "GET", url: worker.url + "/v1/sessions/s/events"))
            #expect(held.status == 200)
            let refused = try await raw(worker, "")
            #expect(refused.hasPrefix("HTTP/1.1 503"))
            #expect(refused.contains("Retry-After: 1\r\n"))
        }
    }

    @Test("takes the keys of a Secret and refuses to start without it")
    func keys() async throws {
        let spec = """
            {agents: [{name: assistant, instructions: Help.}], auth: {apiKeysSecretRef: {name: keys}, trustedKeys: [backend]}}
            """
        try await LiveWorker.run(spec: spec, secrets: ["keys": ["web": "k1", "backend": "k2"]]) {
            worker async throws in
            #expect(try await worker.chat("hi", session: "s").status == 401)
            let web = [(name: "Authorization", value: "Bearer k1")]
            #expect(try await worker.chat("hi", session: "s", headers: web).status == 403)
            #expect(try await worker.chat("hi", session: "s", user: nil, headers: web).status == 200)
            let backend = [(name: "Authorization", value: "Bearer k2")]
            #expect(try await worker.chat("hi", session: "s", headers: backend).status == 200)
        }
        await #expect(throws: (any Error).self) {
            try await LiveWorker.run(spec: spec) { _ in }
        }
    }

    private func turns(_ worker: LiveWorker, _ session: String) async throws -> Int {
        struct Description: Decodable { var turns: Int }
        let answer = try await worker.send(
            "GET", "/v1/sessions/\(session)", headers: [(name: "X-AgentPool-User", value: "u")])
        return try JSONDecoder().decode(Description.self, from: Data(answer.body.utf8)).turns
    }

    /// Sends bytes as they are and reads until the server closes.
    private func raw(_ worker: LiveWorker, _ bytes: String) async throws -> String {
        let port = try #require(URL(string: worker.url)?.port)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            // A server that answers unasked may have closed already.
            if !bytes.isEmpty { try await outbound.write(ByteBuffer(string: bytes)) }
            var answer = ""
            for try await part in inbound { answer += String(buffer: part) }
            return answer
        }
    }
}
