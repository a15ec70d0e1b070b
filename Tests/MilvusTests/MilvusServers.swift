/// Starts the real servers that the tests talk to, once a process each, and ends them with it.
import Foundation
import Logging
import Subprocesses
import Synchronization
import Testing

@testable import Milvus

enum ServerKind: String, Sendable, CaseIterable, CustomTestStringConvertible {
    case lite, standalone
    /// The standalone one with TLS and users.
    case secured

    /// The program that the environment names; nil where it names none.
    var program: String? {
        switch self {
        case .lite: ProcessInfo.processInfo.environment["MILVUS_LITE"]
        case .standalone, .secured: ProcessInfo.processInfo.environment["MILVUS_STANDALONE"]
        }
    }

    var testDescription: String {
        switch self {
        case .lite: "milvus-lite"
        case .standalone: "Milvus 2.3.5"
        case .secured: "Milvus 2.3.5 with TLS and users"
        }
    }

    static let available = [lite, standalone].filter { $0.program != nil }
}

/// A server below `Servers/supervise.py`, which ends it when this process ends, however it does.
final class MilvusServers: Sendable {
    struct Broken: Error, CustomStringConvertible {
        var description: String
    }

    private static let started = Mutex<[ServerKind: MilvusServers]>([:])

    let kind: ServerKind
    let port: Int
    private let folder: URL
    /// Held while an order is carried out.
    private let supervisor: Mutex<Subprocess>

    /// The one server of its kind, started by the first who asks and answering by then.
    static func server(_ kind: ServerKind) async throws -> MilvusServers {
        let (server, isNew) = try started.withLock { started in
            if let server = started[kind] { return (server, false) }
            let server = try MilvusServers(kind)
            started[kind] = server
            return (server, true)
        }
        if isNew { try server.order("start") }
        try await server.answers()
        return server
    }

    private init(_ kind: ServerKind) throws {
        guard let program = kind.program else { throw Broken(description: "no program for \(kind)") }
        self.kind = kind
        port = try FreePort.take()
        folder = FileManager.default.temporaryDirectory.appending(
            path: "agentpool-milvus-\(UUID().uuidString)")
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "Servers/supervise.py")
        supervisor = Mutex(
            try Subprocess(["python3", script.path, kind.rawValue, program, "\(port)", folder.path]))
    }

    /// One of the supervisor's orders; returns when it is carried out.
    func order(_ name: String) throws {
        try supervisor.withLock { supervisor in
            try supervisor.send(name)
            guard supervisor.line(seconds: 180) == "ok" else {
                throw Broken(description: "the supervisor of \(kind) failed at \(name)")
            }
        }
    }

    /// Returns when the server answers.
    func answers() async throws {
        // A certificate is made before the first answer to an order, so its file is there by now.
        try await withClient(configuration(readDeadline: .seconds(60))) { _ = try await $0.version() }
    }

    func configuration(readDeadline: Duration = .seconds(10)) -> MilvusConfiguration {
        var configuration = MilvusConfiguration(host: "127.0.0.1", port: port, readDeadline: readDeadline)
        if kind == .secured {
            configuration.tls = MilvusTLS(
                caFile: folder.appending(path: "server.pem").path, serverName: "milvus.test")
            configuration.credentials = { .password(user: "root", password: "Milvus") }
        }
        return configuration
    }
}

/// Runs a client for as long as `body` does.
func withClient<Result: Sendable>(
    _ configuration: MilvusConfiguration, _ body: (MilvusClient) async throws -> Result
) async throws -> Result {
    let client = try MilvusClient(configuration, logger: Logger(label: "test"))
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await client.run() }
        defer { group.cancelAll() }
        let result = try await body(client)
        await client.close()
        return result
    }
}

/// Opens a new collection for `body` and drops it after.
func withCollection(
    _ kind: ServerKind, dimension: Int = 8,
    _ body: (MilvusCollection, MilvusClient) async throws -> Void
) async throws {
    let server = try await MilvusServers.server(kind)
    try await withClient(server.configuration()) { client in
        let collection = try await client.open(newCollection(dimension: dimension))
        try await body(collection, client)
        try await client.drop(collection.collection.name)
    }
}

func newCollection(dimension: Int = 8, model: String = "model-a") -> MemoryCollection {
    let number = UInt64.random(in: 0...UInt64.max)
    return MemoryCollection(
        name: "t_" + String(number, radix: 16), embeddingModel: model, dimension: dimension)
}

/// A row of 8 dimensions unless a vector is given.
func row(
    _ id: String, in pool: String = "pool", of principal: String = "p1", session: String = "s1",
    generation: Int64 = 1,
    time: Int64 = 100,
    text: String = "hello", vector: [Float]? = nil
) -> MilvusRow {
    MilvusRow(
        id: id, pool: pool, principal: principal, session: session, sessionName: "My session",
        generation: generation,
        agent: "triage", firstTurn: 1, lastTurn: 10, time: time, summary: "a summary", entities: "a, b",
        text: text, vector: vector ?? (0..<8).map { _ in Float.random(in: -1...1) })
}

func unit(_ axis: Int, dimension: Int = 8) -> [Float] {
    (0..<dimension).map { $0 == axis ? 1 : 0 }
}

/// The error that `body` throws.
func milvusError(
    of body: () async throws -> Void, sourceLocation: SourceLocation = #_sourceLocation
) async throws -> MilvusError {
    do {
        try await body()
    } catch let error as MilvusError {
        return error
    }
    Issue.record("no error was thrown", sourceLocation: sourceLocation)
    throw MilvusServers.Broken(description: "no error was thrown")
}

/// The kind of the error that a call ends with; nil where it passes.
func failureKind(of call: () async throws(MilvusError) -> Void) async -> MilvusError.Kind? {
    do {
        try await call()
        return nil
    } catch {
        return error.kind
    }
}
