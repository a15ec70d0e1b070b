import Synchronization
import Testing

@testable import Kubernetes

/// What a watcher tells of a server that does everything that servers do.
@Suite struct WatcherTests {
    private static let pods = "/api/v1/namespaces/n/pods"

    /// What was told, as text, in order.
    private final class Log: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }

        func add(_ delivery: WatchDelivery<ObjectHeader>) {
            let name = { (object: ObjectHeader) in
                "\(object.metadata.name)@\(object.metadata.resourceVersion)"
            }
            let line =
                switch delivery {
                case .listBegan: "began"
                case .page(let objects): "page " + objects.map(name).joined(separator: " ")
                case .listEnded: "ended"
                case .changed(let object): "changed " + name(object)
                case .removed(let object): "removed " + name(object)
                }
            lines.withLock { $0.append(line) }
        }
    }

    private static func object(_ name: String, _ version: Int) -> String {
        #"{"kind":"Pod","metadata":{"name":"\#(name)","resourceVersion":"\#(version)"}}"#
    }

    private static func list(_ version: Int, _ objects: [String] = [], next: String = "")
        -> ScriptedCall.Answer
    {
        .json(
            200,
            #"{"metadata":{"resourceVersion":"\#(version)","continue":"\#(next)"},"items":[\#(objects.joined(separator: ","))]}"#
        )
    }

    private static func event(_ type: String, _ object: String) -> ScriptedCall.Piece {
        .text(#"{"type":"\#(type)","object":\#(object)}"# + "\n")
    }

    private static func listCall(_ answer: ScriptedCall.Answer, continuation: String? = nil) -> ScriptedCall {
        .get("\(pods)?labelSelector=a%3Db&limit=500" + (continuation.map { "&continue=\($0)" } ?? ""), answer)
    }

    private static func watchCall(_ version: Int, _ answer: ScriptedCall.Answer) -> ScriptedCall {
        .get(
            "\(pods)?watch=true&allowWatchBookmarks=true&labelSelector=a%3Db&resourceVersion=\(version)&timeoutSeconds=*",
            answer)
    }

    /// Runs a watcher on the script until so many deliveries have come and the script has been played.
    private func told(
        _ script: [ScriptedCall], silence: Duration = .seconds(60), deliveries: Int
    ) async throws -> [String] {
        var timing = WatchMachine.Timing()
        timing.firstPause = .milliseconds(1)
        timing.longestPause = .milliseconds(4)
        timing.silence = silence
        let log = Log()
        return try await ScriptedServer.run(script) { [timing] server in
            try await withClient(of: server.access) { client in
                let watcher = Watcher<ObjectHeader>(
                    client: client, kind: .pods, namespace: "n", labels: "a=b", timing: timing, logger: .quiet
                )
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { await watcher.run { log.add($0) } }
                    try await waitUntil("the script is played") {
                        server.left == 0 && log.all.count >= deliveries
                    }
                    group.cancelAll()
                }
                return log.all
            }
        }
    }

    @Test("A list comes in pages, then changes as they happen, and an object that can't be read is left out")
    func following() async throws {
        let told = try await told(
            [
                Self.listCall(Self.list(10, [Self.object("a", 1), "{}"], next: "c1")),
                Self.listCall(Self.list(10, [Self.object("b", 2)]), continuation: "c1"),
                Self.watchCall(
                    10,
                    .stream([
                        Self.event("ADDED", Self.object("c", 11)),
                        Self.event("MODIFIED", Self.object("a", 12)),
                        Self.event("MODIFIED", #"{"metadata":{"resourceVersion":"13"}}"#),
                        Self.event("NEWTYPE", "{}"), Self.event("DELETED", Self.object("b", 14)),
                        Self.event("BOOKMARK", #"{"kind":"Pod","metadata":{"resourceVersion":"20"}}"#),
                    ])),
            ], deliveries: 7)
        #expect(
            told == [
                "began", "page a@1", "page b@2", "ended", "changed c@11", "changed a@12", "removed b@14",
            ])
    }

    @Test(
        "A stream that ends, breaks off or is cut amid an event is resumed where it was told to be, by bookmarks too"
    )
    func resuming() async throws {
        let told = try await told(
            [
                Self.listCall(Self.list(10)),
                Self.watchCall(10, .stream([Self.event("ADDED", Self.object("a", 11)), .end])),
                Self.watchCall(
                    11, .stream([Self.event("BOOKMARK", #"{"metadata":{"resourceVersion":"30"}}"#), .cut])),
                Self.watchCall(
                    30,
                    .stream([
                        Self.event("ADDED", Self.object("b", 31)), .text(#"{"type":"ADDED","obj"#), .cut,
                    ])),
                Self.watchCall(31, .cut),
                Self.watchCall(31, .json(503, "{}")),
                Self.watchCall(31, .stream([Self.event("ADDED", Self.object("c", 32))])),
            ], deliveries: 6)
        #expect(told == ["began", "page ", "ended", "changed a@11", "changed b@31", "changed c@32"])
    }

    @Test(
        "A moment that the server has forgotten leads to a new list, whether it says so at once or in the stream"
    )
    func expired() async throws {
        let gone =
            #"{"kind":"Status","status":"Failure","message":"too old resource version","reason":"Expired","code":410}"#
        let told = try await told(
            [
                Self.listCall(Self.list(10, [Self.object("a", 1)])),
                Self.watchCall(
                    10, .stream([Self.event("ADDED", Self.object("b", 11)), Self.event("ERROR", gone), .end])),
                Self.listCall(Self.list(20, [Self.object("b", 11)])),
                Self.watchCall(20, .json(410, gone)),
                Self.listCall(Self.list(30, [], next: "c1")),
                Self.listCall(.json(410, gone), continuation: "c1"),
                Self.listCall(Self.list(40, [Self.object("c", 33)])),
                Self.watchCall(40, .stream([])),
            ], deliveries: 11)
        #expect(
            told == [
                "began", "page a@1", "ended", "changed b@11", "began", "page b@11", "ended", "began", "page ",
                "began",
                "page c@33", "ended",
            ])
    }

    @Test("A stream that falls silent is noticed and resumed")
    func silence() async throws {
        let told = try await told(
            [
                Self.listCall(Self.list(10)),
                Self.watchCall(10, .stream([Self.event("ADDED", Self.object("a", 11))])),
                Self.watchCall(11, .silence),
                Self.watchCall(11, .stream([Self.event("ADDED", Self.object("b", 12)), .end])),
                Self.watchCall(12, .stream([])),
            ], silence: .seconds(3), deliveries: 5)
        #expect(told == ["began", "page ", "ended", "changed a@11", "changed b@12"])
    }

    @Test("The stream waits for its reader")
    func backPressure() async throws {
        let gate = Gate()
        let log = Log()
        try await ScriptedServer.run([
            Self.listCall(Self.list(10)),
            Self.watchCall(
                10,
                .stream([
                    Self.event("ADDED", Self.object("a", 11)), Self.event("ADDED", Self.object("b", 12)),
                ])),
        ]) { server in
            try await withClient(of: server.access) { client in
                let watcher = Watcher<ObjectHeader>(
                    client: client, kind: .pods, namespace: "n", labels: "a=b", logger: .quiet
                )
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        await watcher.run { delivery in
                            log.add(delivery)
                            if case .changed = delivery { await gate.passed() }
                        }
                    }
                    try await waitUntil("the first change is told") { log.all.count == 4 }
                    #expect(log.all.last == "changed a@11")
                    gate.open()
                    try await waitUntil("the second change is told") { log.all.count == 5 }
                    group.cancelAll()
                }
            }
        }
    }
}
