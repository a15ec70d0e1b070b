import Foundation
import Synchronization
import Testing

@testable import Kubernetes

/// An election as the server sees it, and as whoever leads does.
@Suite struct LeaderElectionTests {
    private static let path = "/apis/coordination.k8s.io/v1/namespaces/ops/leases"
    private static let notFound = ScriptedCall.Answer.json(
        404, #"{"kind":"Status","reason":"NotFound","code":404}"#)
    private static let conflict = ScriptedCall.Answer.json(
        409, #"{"kind":"Status","reason":"Conflict","code":409}"#)

    private static func lease(_ holder: String, _ version: Int, seconds: Int = 15) -> ScriptedCall.Answer {
        .json(
            200,
            #"{"metadata":{"name":"l","resourceVersion":"\#(version)"},"spec":{"holderIdentity":"\#(holder)","leaseDurationSeconds":\#(seconds),"renewTime":"2026-01-01T00:00:00.000000Z","leaseTransitions":1}}"#
        )
    }

    private static func holds(_ holder: String, version: Int?) -> @Sendable (String) -> Bool {
        { body in
            let lease = JSONSlice(Array(body.utf8))
            return lease["spec"]?["holderIdentity"]?.string == holder
                && lease["metadata"]?["resourceVersion"]?.string == version.map { "\($0)" }
        }
    }

    private static func get(_ answer: ScriptedCall.Answer) -> ScriptedCall { .get("\(path)/l", answer) }

    private static func create(_ answer: ScriptedCall.Answer) -> ScriptedCall {
        .call("POST", path, where: holds("me", version: nil), answer)
    }

    private static func update(_ holder: String, over version: Int, _ answer: ScriptedCall.Answer)
        -> ScriptedCall
    {
        .call("PUT", "\(path)/l", where: holds(holder, version: version), answer)
    }

    /// Fast enough for a test, and slow enough for a busy machine.
    private static let timing = LeaseTiming(
        duration: .seconds(40), renewDeadline: .seconds(30), retryPeriod: .milliseconds(50),
        releaseTimeout: .seconds(2))
    /// Doesn't renew while the test runs.
    private static let idle = LeaseTiming(
        duration: .seconds(600), renewDeadline: .seconds(500), retryPeriod: .seconds(400),
        releaseTimeout: .seconds(2))

    private func election(_ client: KubernetesClient, _ timing: LeaseTiming) -> LeaderElection {
        LeaderElection(
            client: client, name: "l", namespace: "ops", identity: "me", timing: timing, logger: .quiet)
    }

    @Test("Who takes the lease leads, renews, and gives the lease back when its work is done")
    func wholeLife() async throws {
        try await ScriptedServer.run([
            Self.get(Self.notFound), Self.create(Self.lease("me", 1)),
            Self.update("me", over: 1, Self.lease("me", 2)), Self.update("me", over: 2, .json(500, "{}")),
            Self.get(Self.lease("me", 2)), Self.update("me", over: 2, Self.lease("me", 3)),
            // Under way when the work is done, so it isn't known whether it was done.
            Self.update("me", over: 3, .silence), Self.get(Self.lease("me", 3)),
            Self.update("", over: 3, Self.lease("", 4)),
        ]) { server in
            try await withClient(of: server.access) { client in
                try await election(client, Self.timing).run { leadership in
                    #expect(leadership.isHeld())
                    try await server.waitForCalls(7)
                }
            }
        }
    }

    @Test("A race that was lost, and a lease that others hold, are waited out")
    func waiting() async throws {
        let standings = Mutex<[LeaderElection.Standing]>([])
        try await ScriptedServer.run([
            Self.get(Self.notFound),
            Self.create(.json(409, #"{"kind":"Status","reason":"AlreadyExists","code":409}"#)),
            Self.get(Self.lease("other", 1)), Self.get(Self.lease("other", 2)),
            Self.get(Self.lease("", 3, seconds: 1)), Self.update("me", over: 3, Self.conflict),
            Self.get(Self.lease("", 4, seconds: 1)), Self.update("me", over: 4, Self.lease("me", 5)),
            Self.update("me", over: 5, .silence), Self.get(Self.lease("me", 5)),
            Self.update("", over: 5, Self.lease("", 6)),
        ]) { server in
            try await withClient(of: server.access) { client in
                let election = LeaderElection(
                    client: client, name: "l", namespace: "ops", identity: "me",
                    timing: LeaseTiming(
                        duration: .seconds(600), renewDeadline: .seconds(500), retryPeriod: .milliseconds(10)),
                    logger: .quiet
                ) { standing in standings.withLock { $0.append(standing) } }
                try await election.run { _ in try await server.waitForCalls(9) }
            }
        }
        let told = standings.withLock { $0 }
        #expect(told.contains(.waiting(holder: "other")))
        #expect(told.contains(.leading))
        #expect(told.last == .waiting(holder: ""))
    }

    @Test("A leader that is told to end gives the lease back although its task is cancelled")
    func cancelled() async throws {
        try await ScriptedServer.run([
            Self.get(Self.notFound), Self.create(Self.lease("me", 1)),
            Self.update("", over: 1, Self.lease("", 2)),
        ]) { server in
            try await withClient(of: server.access) { client in
                let election = election(client, Self.idle)
                let hasEnded = Gate()
                let isLeading = Gate()
                await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        try await election.run { leadership in
                            isLeading.open()
                            do { try await Task.sleep(for: .seconds(600)) } catch {
                                // Still good for what has to be finished.
                                #expect(leadership.isHeld())
                                hasEnded.open()
                                throw error
                            }
                        }
                    }
                    await isLeading.passed()
                    group.cancelAll()
                    await #expect(throws: CancellationError.self) { try await group.waitForAll() }
                }
                #expect(hasEnded.isOpen)
            }
        }
    }

    @Test("A leader that is told to end does so although the server doesn't answer")
    func cancelledWithoutServer() async throws {
        try await ScriptedServer.run([
            Self.get(Self.notFound), Self.create(Self.lease("me", 1)), Self.update("", over: 1, .silence),
        ]) { server in
            try await withClient(of: server.access) { client in
                let election = election(client, Self.idle)
                let isLeading = Gate()
                await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        try await election.run { _ in
                            isLeading.open()
                            try await Task.sleep(for: .seconds(600))
                        }
                    }
                    await isLeading.passed()
                    group.cancelAll()
                    await #expect(throws: CancellationError.self) { try await group.waitForAll() }
                }
            }
        }
    }

    @Test(
        "A renewal that was under way when the leader was told to end doesn't keep the lease from being given back"
    )
    func cancelledAmidRenewal() async throws {
        try await ScriptedServer.run([
            Self.get(Self.notFound), Self.create(Self.lease("me", 1)), Self.update("me", over: 1, .silence),
            Self.get(Self.lease("me", 2)), Self.update("", over: 2, Self.lease("", 3)),
        ]) { server in
            try await withClient(of: server.access) { client in
                let election = election(client, Self.timing)
                await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await election.run { _ in try await Task.sleep(for: .seconds(600)) } }
                    group.addTask { try await server.waitForCalls(3) }
                    // The first to end is the wait.
                    do { try await group.next() } catch { Issue.record(error) }
                    group.cancelAll()
                    await #expect(throws: CancellationError.self) { try await group.waitForAll() }
                }
            }
        }
    }

    @Test("A leader whose lease somebody else has by now is stopped, and leaves the lease alone")
    func overtaken() async throws {
        try await ScriptedServer.run([
            Self.get(Self.notFound), Self.create(Self.lease("me", 1)),
            Self.update("me", over: 1, Self.conflict),
            Self.get(Self.lease("other", 2)),
        ]) { server in
            try await withClient(of: server.access) { client in
                let election = election(client, Self.timing)
                await #expect(throws: LeaderElection.Lost.self) {
                    try await election.run { leadership in
                        do { try await Task.sleep(for: .seconds(600)) } catch {
                            #expect(!leadership.isHeld())
                            #expect(leadership.remaining() == .zero)
                            throw error
                        }
                    }
                }
            }
        }
    }

    @Test("An error of the leader's work is told once the lease is given back")
    func failure() async throws {
        struct Broken: Error {}
        try await ScriptedServer.run([
            Self.get(Self.notFound), Self.create(Self.lease("me", 1)),
            Self.update("", over: 1, Self.lease("", 2)),
        ]) { server in
            try await withClient(of: server.access) { client in
                await #expect(throws: Broken.self) {
                    try await election(client, Self.idle).run { _ in throw Broken() }
                }
            }
        }
    }

    @Test("Two processes of one pod's name have different identities")
    func identities() {
        let names = Set((0..<100).map { _ in LeaderElection.identity(pod: "agentpool-0") })
        #expect(names.count == 100)
        #expect(names.allSatisfy { $0.hasPrefix("agentpool-0_") })
    }
}
