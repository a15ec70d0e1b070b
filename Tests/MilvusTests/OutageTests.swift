/// Holds the client against servers that die, hang, answer nonsense or were never there.
import Foundation
import Logging
import Subprocesses
import Testing

@testable import Milvus

extension ServerSuite {
    @Suite("An outage")
    struct OutageTests {
        @Test(
            "by kill -9 ends, with the rows that were written, when the server is back",
            arguments: ServerKind.available)
        func kill(kind: ServerKind) async throws {
            let server = try await MilvusServers.server(kind)
            try await withCollection(kind) { collection, _ in
                try await collection.upsert([row("1", vector: unit(0)), row("2", vector: unit(1))])
                #expect(try await collection.count(principal: "p1") == 2)
                try server.order("kill")
                try server.order("start")
                // Begun while the server is away: it answers when the server does.
                let end = ContinuousClock.now + .seconds(90)
                var found: [MilvusHit] = []
                while found.count < 2, ContinuousClock.now < end {
                    do {
                        found = try await collection.search(principal: "p1", vector: unit(0), limit: 5)
                    } catch let error as MilvusError {
                        // Refusals would not end by waiting.
                        let passing: [MilvusError.Kind] = [.unavailable, .deadline, .overloaded]
                        #expect(passing.contains(error.kind), "\(error)")
                        try await Task.sleep(for: .milliseconds(200))
                    }
                }
                #expect(found.map(\.row.id) == ["1", "2"])
                try await collection.upsert([row("3")])
                #expect(try await collection.count(principal: "p1") == 3)
            }
        }

        @Test(
            "of a server that stops answering ends calls by their deadline, and the connection is replaced",
            arguments: ServerKind.available)
        func pause(kind: ServerKind) async throws {
            let server = try await MilvusServers.server(kind)
            var configuration = server.configuration(readDeadline: .milliseconds(400))
            configuration.connectDeadline = .milliseconds(800)
            try await withCollection(kind) { collection, _ in
                try await collection.upsert([row("1")])
                let description = collection.collection
                try await withClient(configuration) { impatient in
                    let view = MilvusCollection(
                        client: impatient, collection: description, searchesText: false)
                    _ = try await view.rows(principal: "p1", withVectors: false, limit: 1, strong: true)
                    try server.order("pause")
                    let clock = ContinuousClock()
                    for _ in 0..<4 {
                        let took = try await clock.measure {
                            let error = try await milvusError {
                                _ = try await view.search(principal: "p1", vector: unit(0), limit: 1)
                            }
                            #expect(error.kind == .deadline)
                        }
                        #expect(took < .seconds(20))
                    }
                    try server.order("resume")
                    let page = try await eventually {
                        // Answers are late for a moment: the server has old questions to deal with.
                        try? await view.rows(principal: "p1", withVectors: false, limit: 1, strong: false)
                    } until: {
                        $0?.rows.count == 1
                    }
                    #expect(page?.rows.map(\.id) == ["1"])
                }
            }
        }

        @Test(
            "doesn't outlive the caller's patience: cancellation ends a call at once",
            arguments: ServerKind.available)
        func cancellation(kind: ServerKind) async throws {
            let server = try await MilvusServers.server(kind)
            try await withCollection(kind) { collection, _ in
                try server.order("pause")
                let took = await ContinuousClock().measure {
                    await withTaskGroup(of: MilvusError.Kind?.self) { group in
                        for _ in 0..<20 {
                            group.addTask {
                                await failureKind { () async throws(MilvusError) in
                                    _ = try await collection.search(
                                        principal: "p1", vector: unit(0), limit: 1)
                                }
                            }
                        }
                        // The group is never cancelled before the calls are out.
                        try? await Task.sleep(for: .milliseconds(100))
                        group.cancelAll()
                        for await kind in group { #expect(kind == .cancelled) }
                    }
                }
                #expect(took < .seconds(10))
                try server.order("resume")
                #expect(try await collection.count(principal: "p1") == 0)
            }
        }
    }
}

@Suite("A client without a Milvus")
struct NoServerTests {
    private func configuration(_ port: Int) -> MilvusConfiguration {
        MilvusConfiguration(
            host: "127.0.0.1", port: port, connectDeadline: .milliseconds(300),
            readDeadline: .milliseconds(700))
    }

    private func version(_ port: Int, takes most: Duration = .seconds(60)) async throws -> MilvusError {
        try await withClient(configuration(port)) { client in
            var error: MilvusError?
            let took = try await ContinuousClock().measure {
                error = try await milvusError { _ = try await client.version() }
            }
            #expect(took < most)
            return try #require(error)
        }
    }

    @Test("fails by its deadline where nobody listens")
    func closedPort() async throws {
        let port = try FreePort.take()
        let error = try await version(port)
        #expect(error.kind == .unavailable)
        #expect(
            error.description == "Milvus at 127.0.0.1:\(port), GetVersion: no connection, or it broke off")
    }

    @Test("fails by its deadline where a peer accepts and never answers, again and again")
    func silent() async throws {
        let server = try SilentServer()
        #expect(try await version(server.port).kind == .deadline)
        try await withClient(configuration(server.port)) { client in
            for _ in 0..<5 {
                let error = try await milvusError { _ = try await client.version() }
                #expect(error.kind == .deadline)
            }
        }
    }

    @Test(
        "fails by its deadline where a peer answers what is no gRPC",
        arguments: [
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "\0\0\0\0\0\0\0\0\0",
            "\u{1}\u{2}\u{3}\u{4}garbage and more garbage and still more of it\r\n\r\n", "",
        ], [true, false])
    func garbage(answer: String, hangsUp: Bool) async throws {
        let server = try GarbageServer(Array(answer.utf8), hangsUp: hangsUp)
        let kind = try await version(server.port).kind
        #expect(kind == .unavailable || kind == .deadline)
    }

    @Test("finds a server that comes up late")
    func late() async throws {
        let port = try FreePort.take()
        var configuration = configuration(port)
        configuration.readDeadline = .seconds(60)
        try await withClient(configuration) { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    let error = try await milvusError { _ = try await client.version() }
                    #expect(error.kind == .cancelled)
                }
                try await Task.sleep(for: .milliseconds(300))
                group.cancelAll()
                try await group.waitForAll()
            }
        }
    }

    @Test("refuses calls once it is closed, and its run ends")
    func closed() async throws {
        let server = try SilentServer()
        let client = try MilvusClient(configuration(server.port), logger: Logger(label: "test"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await client.run() }
            // How the call ends is another test's matter.
            group.addTask { _ = try? await client.version() }
            try await Task.sleep(for: .milliseconds(100))
            await client.close()
            try await group.waitForAll()
        }
        let error = try await milvusError { _ = try await client.version() }
        #expect(error.kind == .unavailable)
        #expect(error.message == "the client was closed")
    }

    @Test("ends its run by cancellation at once, though a connection is on its way")
    func cancelledRun() async throws {
        let server = try SilentServer()
        let client = try MilvusClient(configuration(server.port), logger: Logger(label: "test"))
        let took = try await ContinuousClock().measure {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await client.run() }
                // How the call ends is another test's matter.
                group.addTask { _ = try? await client.version() }
                try await Task.sleep(for: .milliseconds(100))
                group.cancelAll()
                try await group.waitForAll()
            }
        }
        #expect(took < .seconds(20))
    }

    @Test("refuses calls beyond those that may run and wait")
    func overload() async throws {
        let server = try SilentServer()
        var configuration = configuration(server.port)
        configuration.maxConcurrentCalls = 2
        try await withClient(configuration) { client in
            let kinds = await withTaskGroup(of: MilvusError.Kind?.self) { group in
                for _ in 0..<40 {
                    group.addTask {
                        await failureKind { () async throws(MilvusError) in _ = try await client.version() }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(kinds.count { $0 == .overloaded } == 40 - 2 - 16)
            #expect(kinds.count { $0 == .deadline } == 18)
        }
    }
}
