// An API server that refuses, hangs, loses answers, cuts watches, forgets versions and restarts: right in the end.

import ClusterSupport
import Foundation
import Kubernetes
import Testing

@testable import Controller
@testable import PoolAPI

// Only the stand-in can be told to fail; Tests/Acceptance restarts a real one.
@Suite(.serialized, .timeLimit(.minutes(10))) struct FaultTests {
    enum Trouble: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case busy = "429 with Retry-After"
        case broken = "500 and 503"
        case lostAnswers = "lost answers"
        case cutWatches = "watches that are cut"
        case forgottenVersions = "versions that are forgotten"
        case restarts = "restarts"
        var testDescription: String { rawValue }
    }

    @Test(arguments: Trouble.allCases) func afterTroubleEverythingIsAsTheSpecsSay(trouble: Trouble)
        async throws
    {
        try await Stage.with(.standIn) { stage in
            let server = try #require(stage.standIn)
            try await stage.withOperator { controller in
                try await until("it leads") { try await controller.isLeading() }
                switch trouble {
                case .busy:
                    server.inject(Fault(.refuse, code: 429, retryAfter: 1, path: stage.namespace, every: 3))
                case .broken:
                    server.inject(Fault(.refuse, code: 500, path: stage.namespace, every: 4))
                    server.inject(Fault(.refuse, code: 503, path: stage.namespace, every: 5))
                case .lostAnswers: server.inject(Fault(.loseAnswer, path: stage.namespace, every: 3))
                default: break
                }
                try await stage.inTrouble(trouble, server)
                server.clearFaults()
                try await stage.settle()
                print("\(trouble.rawValue): \(server.faultsMet) requests met a fault")
            }
        }
    }

    @Test func aServerThatHangsIsWaitedForAndThenAskedAgain() async throws {
        try await Stage.with(.standIn) { stage in
            let server = try #require(stage.standIn)
            try await stage.withOperator { controller in
                try await until("it leads") { try await controller.isLeading() }
                server.inject(Fault(.hang, method: "PATCH", path: "/deployments/", times: 1))
                try await stage.apply(Manifests.pool("waits"), .agentPools)
                try await stage.ready("waits")
                #expect(server.faultsMet == 1)
            }
        }
    }
}

extension Stage {
    private static let pools = (1...8).map { "pool-\($0)" }

    /// Creates, edits and deletes pools while something is wrong, as a user who tries again would.
    fileprivate func inTrouble(_ trouble: FaultTests.Trouble, _ server: StandInServer) async throws {
        for round in 0..<3 {
            for pool in Self.pools {
                try await insistently {
                    try await apply(Manifests.pool(pool, instructions: "Round \(round)."), .agentPools)
                }
            }
            for pool in Self.pools.prefix(round) {
                try await insistently { try await remove(.agentPools, pool) }
            }
            switch trouble {
            case .cutWatches: server.cutWatches()
            case .forgottenVersions: server.expireVersions()
            case .restarts: try await server.restart(down: .milliseconds(500))
            default: try await Task.sleep(for: .milliseconds(300))
            }
        }
    }

    /// Waits until all is as the specs say, and checks that nothing else is there.
    fileprivate func settle() async throws {
        for pool in Self.pools.dropFirst(2) { try await ready(pool) }
        for pool in Self.pools.prefix(2) {
            try await until("nothing is left of \(pool)") { try await children(of: pool).isEmpty }
        }
        for pool in Self.pools.dropFirst(2) {
            try await until("\(pool) has its newest configuration alone") {
                let configs = try await children(of: pool).keys.filter { $0.hasPrefix("ConfigMap ") }
                guard configs.count == 1, let name = configs.first?.dropFirst(10) else { return false }
                let map = try await get(.configMaps, String(name))
                return map?.at("data", PoolNames.configKey)?.string?.contains("Round 2.") ?? false
            }
        }
        let before = try await versions(of: Self.pools)
        try await Task.sleep(for: .seconds(1))
        #expect(try await versions(of: Self.pools) == before)
    }

    private func remove(_ kind: ResourceKind, _ name: String) async throws {
        do throws(APIError) {
            _ = try await client.bytes(.delete(kind, name, in: namespace))
        } catch {
            if !error.isNotFound { throw error }
        }
    }

    private func insistently(_ body: () async throws -> Void) async throws {
        try await until("the server takes what the test asks for") {
            do {
                try await body()
                return true
            } catch let error as APIError where error.isTransient {
                return false
            }
        }
    }
}
