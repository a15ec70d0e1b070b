/// Holds TLS, users and databases against a Milvus that asks for the first two.
import Synchronization
import Testing

@testable import Milvus

extension ServerSuite {
    @Suite(
        "A Milvus with TLS and users",
        .enabled(if: ServerKind.secured.program != nil, "MILVUS_STANDALONE names no bin/milvus"))
    struct SecurityTests {
        @Test("is used like any other")
        func works() async throws {
            try await withCollection(.secured) { collection, _ in
                try await collection.upsert([row("1")])
                #expect(try await collection.count(principal: "p1") == 1)
            }
        }

        @Test("refuses a wrong password or none at once, and takes the right one from the next call on")
        func passwords() async throws {
            let server = try await MilvusServers.server(.secured)
            let refused: [MilvusCredentials?] = [
                .password(user: "root", password: "s3cret"), .token("s3cret"), nil,
            ]
            for wrong in refused {
                var configuration = server.configuration()
                configuration.credentials = { wrong }
                try await withClient(configuration) { client in
                    let error = try await milvusError { _ = try await client.open(newCollection()) }
                    #expect(error.kind == .rejected(16))
                    #expect(error.message == "the credentials were refused")
                }
            }
            let isRight = Mutex(false)
            var configuration = server.configuration()
            configuration.credentials = {
                .password(user: "root", password: isRight.withLock { $0 } ? "Milvus" : "old")
            }
            try await withClient(configuration) { client in
                _ = try await milvusError { try await client.drop("t_none") }
                isRight.withLock { $0 = true }
                try await client.drop("t_none")
            }
        }

        @Test("is not talked to where its certificate isn't trusted, is another's, or TLS is off")
        func certificates() async throws {
            let server = try await MilvusServers.server(.secured)
            let trusted = server.configuration(readDeadline: .milliseconds(800))
            let file = trusted.tls?.caFile
            for tls in [
                nil, MilvusTLS(serverName: "milvus.test"), MilvusTLS(caFile: file, serverName: "other.test"),
            ] {
                var configuration = trusted
                configuration.tls = tls
                try await withClient(configuration) { client in
                    let error = try await milvusError { _ = try await client.version() }
                    #expect(error.kind == .unavailable || error.kind == .deadline)
                }
            }
        }

        @Test("is known by its address where the certificate names that")
        func address() async throws {
            var configuration = try await MilvusServers.server(.secured).configuration()
            configuration.host = "127.0.0.2"
            configuration.tls?.serverName = nil
            let version = try await withClient(configuration) { try await $0.version() }
            #expect(version == "v2.3.5-lite")
        }

        @Test("keeps databases apart")
        func databases() async throws {
            let server = try await MilvusServers.server(.secured)
            var configuration = server.configuration()
            configuration.database = "default"
            try await withClient(configuration) { client in
                let collection = try await client.open(newCollection())
                try await client.drop(collection.collection.name)
            }
            configuration.database = "absent"
            try await withClient(configuration) { client in
                let error = try await milvusError { _ = try await client.open(newCollection()) }
                guard case .rejected = error.kind else {
                    Issue.record("\(error)")
                    return
                }
            }
        }
    }
}
