// Several controllers, one leader: who leads, who follows, and that the work goes on.

import Kubernetes
import Testing

@testable import Controller
@testable import PoolAPI

@Suite(.serialized, .timeLimit(.minutes(10))) struct LeadershipTests {
    @Test(arguments: ClusterKind.all)
    func aLeaderThatEndsIsFollowedByTheOneThatStandsBy(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            try await stage.withOperator(identity: "first") { first in
                try await until("the first leads") { try await first.isLeading() }
                try await stage.apply(Manifests.pool("before"), .agentPools)
                try await stage.ready("before")
                try await withThrowingTaskGroup(of: Void.self) { group in
                    // A second one comes and stands by; the first one is this closure's and outlives it.
                    group.addTask {
                        try await stage.withOperator(identity: "second") { second in
                            try await until("the second has looked around") {
                                try await second.metric("workqueue_depth") >= 0
                            }
                            #expect(try await second.isLeading() == false)
                            #expect(try await first.isLeading())
                        }
                    }
                    try await group.waitForAll()
                }
            }
            let lease = try #require(try await stage.leaseHolder())
            #expect(lease.isEmpty, "the lease was given back, and is held by \(lease)")
            try await stage.withOperator(identity: "third") { third in
                try await until("the third leads at once") { try await third.isLeading() }
                try await stage.apply(Manifests.pool("after"), .agentPools)
                try await stage.ready("after")
                #expect(try await stage.leaseHolder() == "third")
            }
        }
    }

    @Test(arguments: ClusterKind.all)
    func theOneThatStandsByTakesOverWhenTheLeaderGivesBackItsLease(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            try await withThrowingTaskGroup(of: Void.self) { group in
                let (signals, leaves) = AsyncStream.makeStream(of: Void.self)
                let (starts, leads) = AsyncStream.makeStream(of: Void.self)
                group.addTask {
                    try await stage.withOperator(identity: "first") { first in
                        try await until("the first leads") { try await first.isLeading() }
                        leads.yield()
                        for await _ in signals { break }
                    }
                }
                for await _ in starts { break }
                group.addTask {
                    try await stage.withOperator(identity: "second") { second in
                        try await until("the second serves its metrics") {
                            try await second.metric("leader_election_master_status") == 0
                        }
                        leaves.yield()
                        leaves.finish()
                        try await until("the second leads") { try await second.isLeading() }
                        try await stage.apply(Manifests.pool("after"), .agentPools)
                        try await stage.ready("after")
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}

extension Stage {
    func leaseHolder() async throws -> String? {
        let lease = try await get(.leases, lease.name, in: lease.namespace)
        return lease.map { $0.at("spec", "holderIdentity")?.string ?? "" }
    }
}
