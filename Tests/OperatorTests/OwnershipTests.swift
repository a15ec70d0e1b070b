// Whose fields and names are whose: replicas between the spec and an autoscaler, and names that others took.

import Kubernetes
import Testing

@testable import Controller
@testable import PoolAPI

@Suite(.serialized, .timeLimit(.minutes(10))) struct OwnershipTests {
    private static func fixed(_ replicas: Int) -> JSONValue {
        Manifests.pool("scaled", ["memory": Manifests.redis, "replicas": .integer(replicas)])
    }

    private static let automatic = Manifests.pool(
        "scaled",
        [
            "memory": Manifests.redis,
            "autoscaling": ["minReplicas": 1, "maxReplicas": 9, "targetCPU": "700m"],
        ])

    @Test(arguments: ClusterKind.all)
    func replicasAreHandedToAnAutoscalerAndBackWithoutADrop(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            try await stage.withOperator { _ in
                try await stage.apply(Self.fixed(4), .agentPools)
                try await stage.ready("scaled")
                let autoscaler: ResourceKind =
                    try await stage.client.serves(.scaledObjects) ? .scaledObjects : .horizontalPodAutoscalers
                // Every number of replicas that the Deployment had from here on.
                var seen: Set<Int> = []
                func look() async throws -> Int {
                    let replicas =
                        try await stage.get(.deployments, "scaled")?.at("spec", "replicas")?.number ?? 0
                    seen.insert(replicas)
                    return replicas
                }
                try await stage.delete(.agentPools, "scaled")
                try await until("it is gone") { try await stage.children(of: "scaled").isEmpty }
                try await stage.apply(Self.fixed(4), .agentPools)
                try await stage.ready("scaled")
                try await stage.apply(Self.automatic, .agentPools)
                try await until("the autoscaler is there, and the replicas are nobody's of ours") {
                    _ = try await look()
                    guard try await stage.get(autoscaler, "scaled") != nil else { return false }
                    return try await stage.owners(ofReplicas: "scaled").contains(PoolNames.fieldManager)
                        == false
                }
                #expect(seen == [4])
                // The autoscaler's decision stays.
                try await stage.patch(
                    .deployments, "scaled", subresource: "scale", manager: "autoscaler",
                    ["spec": ["replicas": 6]])
                try await stage.apply(
                    Manifests.pool(
                        "scaled", instructions: "Be quick.",
                        [
                            "memory": Manifests.redis,
                            "autoscaling": ["minReplicas": 1, "maxReplicas": 9, "targetCPU": "700m"],
                        ]), .agentPools)
                try await stage.ready("scaled")
                #expect(try await look() == 6)
                try await stage.apply(Self.fixed(2), .agentPools)
                try await until("the number is the spec's again, and the autoscaler is gone") {
                    guard try await stage.get(autoscaler, "scaled") == nil, try await look() == 2 else {
                        return false
                    }
                    return try await stage.owners(ofReplicas: "scaled").contains(PoolNames.fieldManager)
                }
                try await stage.patch(
                    .deployments, "scaled", subresource: "scale", manager: "somebody",
                    ["spec": ["replicas": 5]])
                try await until("what somebody scaled by hand is the spec's again") { try await look() == 2 }
            }
        }
    }

    @Test(arguments: ClusterKind.all)
    func anObjectOfSomebodyElseIsAConflictAndIsNotTouched(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            let theirs: JSONValue = [
                "apiVersion": "v1", "kind": "Service", "metadata": ["name": "taken"],
                "spec": ["selector": ["app": "theirs"], "ports": [["port": 80, "protocol": "TCP"]]],
            ]
            try await stage.apply(theirs, .services, manager: "somebody")
            let before = try await stage.get(.services, "taken")?.version
            try await stage.withOperator { _ in
                try await stage.apply(Manifests.pool("taken"), .agentPools)
                try await until("the pool says so") {
                    try await stage.condition("NameConflict", of: "taken") == "True"
                }
                #expect(try await stage.condition("Ready", of: "taken") == "False")
                #expect(try await stage.get(.services, "taken")?.version == before)
                try await stage.delete(.services, "taken")
                try await stage.ready("taken")
                #expect(try await stage.condition("NameConflict", of: "taken") == nil)
                #expect(
                    try await stage.get(.services, "taken")?.at("spec", "selector", PoolNames.poolLabel)
                        == "taken")
            }
        }
    }
}

extension Stage {
    /// The managers that own a Deployment's number of replicas.
    func owners(ofReplicas name: String) async throws -> [String] {
        let entries = try await get(.deployments, name)?["metadata"]?["managedFields"]?.list ?? []
        return entries.filter { $0.at("fieldsV1", "f:spec", "f:replicas") != nil }
            .compactMap { $0["manager"]?.string }
    }
}
