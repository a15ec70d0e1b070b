// How a pool whose memory is to go with it goes: pods first, then its Job, and never waiting for ever.

import Foundation
import Kubernetes
import Testing

@testable import Controller
@testable import PoolAPI

@Suite(.serialized, .timeLimit(.minutes(10))) struct DeletionTests {
    private static let forgotten = Manifests.pool(
        "forgotten", ["memory": ["redis": ["addresses": ["redis.data:6379"]], "reclaimPolicy": "Delete"]])

    @Test(arguments: ClusterKind.all)
    func aPurgedPoolWaitsForItsPodsAndItsJobAndThenGoes(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            try await stage.withOperator { _ in
                try await stage.apply(Self.forgotten, .agentPools)
                try await stage.ready("forgotten")
                #expect(try await stage.finalizers("forgotten") == [PoolNames.purgeFinalizer])
                try await stage.delete(.agentPools, "forgotten")
                let job = PoolNames.purge("forgotten")
                if !stage.isReal {
                    try await until("the Job is there") { try await stage.get(.jobs, job) != nil }
                    #expect(try await stage.get(.deployments, "forgotten") == nil)
                    let pods: [ObjectHeader] = try await stage.client.all(.pods, in: stage.namespace)
                    #expect(pods.isEmpty)
                    try await stage.patch(
                        .jobs, job, subresource: "status",
                        ["status": ["succeeded": 1, "conditions": [["type": "Complete", "status": "True"]]]])
                }
                try await until("the pool and all of it are gone") {
                    let isGone = try await stage.get(.agentPools, "forgotten") == nil
                    let children = try await stage.children(of: "forgotten")
                    return isGone && children.isEmpty
                }
                try await until("an Event says that it was purged") {
                    try await stage.events(about: "forgotten").contains("Purged")
                }
            }
        }
    }

    @Test(arguments: ClusterKind.all)
    func aPurgeThatDoesNotEndIsGivenUpWithAnEvent(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            try await stage.withOperator(configure: { $0.purgeTimeout = .seconds(1) }) { _ in
                var pool = Self.forgotten
                pool["spec"]?["drain"] = ["delay": "1s", "timeout": "2s"]
                pool["spec"]?["concurrency"] = ["turnTimeout": "1s"]
                try await stage.apply(pool, .agentPools)
                try await stage.ready("forgotten")
                // Pods that nothing ends.
                try await stage.holdPods(of: "forgotten")
                try await stage.delete(.agentPools, "forgotten")
                try await until("the pool is gone") { try await stage.get(.agentPools, "forgotten") == nil }
                try await until("an Event says what was left undone") {
                    try await stage.events(about: "forgotten").contains("PurgeAbandoned")
                }
                try await stage.holdPods(of: "forgotten", false)
            }
        }
    }

    @Test(arguments: ClusterKind.all)
    func aPoolInANamespaceThatGoesDoesNotHoldItUp(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            // The lease stays where the controller lives, the pool's namespace goes.
            try await stage.withOperator { _ in
                try await stage.apply(Self.forgotten.with(namespace: stage.other), .agentPools)
                try await stage.ready("forgotten", in: stage.other)
                _ = try await stage.client.bytes(.delete(.namespaces, stage.other, in: nil))
                try await until("the namespace is gone", within: .seconds(180)) {
                    try await stage.get(.namespaces, stage.other) == nil
                }
            }
        }
    }
}

extension Stage {
    func finalizers(_ pool: String) async throws -> [String] {
        try await get(.agentPools, pool)?["metadata"]?["finalizers"]?.list.compactMap(\.string) ?? []
    }

    /// The reasons of the Events about a pool.
    func events(about pool: String) async throws -> Set<String> {
        let events = try await objects(.events)
        return Set(
            events.filter { $0["regarding"]?["name"]?.string == pool }.compactMap { $0["reason"]?.string })
    }

    /// Keeps a pool's pods from going, or lets them go.
    func holdPods(of pool: String, _ isHeld: Bool = true) async throws {
        let pods: [ObjectHeader] = try await client.all(
            .pods, in: namespace, labels: "\(PoolNames.poolLabel)=\(pool)")
        for pod in pods {
            try await patch(
                .pods, pod.metadata.name,
                ["metadata": ["finalizers": isHeld ? ["example.com/held"] : .null]])
        }
    }
}
