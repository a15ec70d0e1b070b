// A new version of the operator reaches all pools, a few at a time.

import ClusterSupport
import Kubernetes
import Testing

@testable import Controller
@testable import PoolAPI

@Suite(.serialized, .timeLimit(.minutes(10))) struct RolloutTests {
    @Test(arguments: ClusterKind.all)
    func ofTwelvePoolsAtMostFiveRollAtOnceWhenOnlyTheOperatorsImageChanges(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            let pools = (1...12).map { "pool-\($0)" }
            try await stage.withOperator(image: "registry.example/agentpool:1") { _ in
                for pool in pools { try await stage.apply(Manifests.pool(pool), .agentPools) }
                for pool in pools { try await stage.ready(pool) }
            }
            stage.standIn?.setWorkloads(.held)
            try await stage.withOperator(image: "registry.example/agentpool:2", playsNodes: false) { _ in
                var most = 0
                var done: Set<String> = []
                try await until("all twelve have rolled", within: .seconds(300)) {
                    let rolling = try await stage.rolling()
                    most = max(most, rolling.count)
                    if rolling.count == 5 || rolling.count == pools.count - done.count,
                        let next = rolling.sorted().first
                    {
                        try await stage.endRollOut(next)
                        done.insert(next)
                    }
                    let isRolling = try await !stage.rolling().isEmpty
                    return try await stage.images() == ["registry.example/agentpool:2"] && !isRolling
                }
                #expect(most == 5)
                print("\(kind.rawValue): at most \(most) of twelve rolled at once")
                for pool in pools { try await stage.ready(pool) }
            }
        }
    }
}

extension Stage {
    /// The Deployments whose newest pods are not all ready yet.
    func rolling() async throws -> Set<String> {
        let all = try await objects(.deployments)
        return Set(
            all.filter { deployment in
                let status = deployment["status"]
                let replicas = deployment.at("spec", "replicas")?.number ?? 1
                return status?["observedGeneration"] != deployment["metadata"]?["generation"]
                    || status?["updatedReplicas"]?.number ?? 0 < replicas
                    || status?["availableReplicas"]?.number ?? 0 < replicas
                    || status?["replicas"]?.number ?? 0 > replicas
            }.map(\.name))
    }

    func images() async throws -> Set<String> {
        let all = try await objects(.deployments)
        return Set(
            all.compactMap { $0.at("spec", "template", "spec", "containers")?.list.first?["image"]?.string })
    }

    func endRollOut(_ pool: String) async throws {
        standIn?.rollOut(pool, in: namespace)
        guard isReal else { return }
        try await until("the pods of \(pool) are ready") {
            try await readyPods(ofPool: pool)
            return try await rolling().contains(pool) == false
        }
    }
}
