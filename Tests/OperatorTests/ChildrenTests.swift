// From `kubectl apply` to children: all of them, once, and untouched by whoever looks at them again.

import Foundation
import Kubernetes
import Testing

@testable import Controller
@testable import PoolAPI

@Suite(.serialized, .timeLimit(.minutes(10))) struct ChildrenTests {
    @Test(arguments: ClusterKind.all) func theExamplePoolGetsAllItsChildren(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            try await stage.withOperator { controller in
                let begun = ContinuousClock.now
                try await stage.apply(try Manifests.support(), .agentPools)
                let autoscaler =
                    try await stage.client.serves(.scaledObjects) ? "ScaledObject" : "HorizontalPodAutoscaler"
                let expected: Set = [
                    "ServiceAccount support", "Service support", "Service support-admin",
                    "Deployment support",
                    "PodDisruptionBudget support", "NetworkPolicy support", "Ingress support",
                    "\(autoscaler) support",
                ]
                var found: [String: String] = [:]
                try await until("all children of support are there") {
                    found = try await stage.children(of: "support")
                    return expected.isSubset(of: Set(found.keys))
                }
                let took = begun.duration(to: .now)
                // Not ready where it asks for what workers of this version can't serve yet.
                try await until("its pods take turns") {
                    try await stage.condition("Available", of: "support") == "True"
                }
                let configs = found.keys.filter { $0.hasPrefix("ConfigMap support-config-") }
                #expect(configs.count == 1)
                #expect(Set(found.keys) == expected.union(configs))
                print(
                    "\(kind.rawValue): \(found.count) children in \(took): \(found.keys.sorted().joined(separator: ", "))"
                )
                let pool = try #require(try await stage.get(.agentPools, "support"))
                #expect(pool.at("status", "url") == "https://support.example.com")
                #expect(pool.at("status", "selector") == "agentpool.dev/pool=support")
                for name in found.keys {
                    let parts = name.split(separator: " ").map(String.init)
                    let kind = try #require(Stage.childKinds.first { $0.kind == parts[0] })
                    let child = try #require(try await stage.get(kind, parts[1]))
                    let owner = try #require(child["metadata"]?["ownerReferences"]?.list.first)
                    #expect(owner["uid"] == pool["metadata"]?["uid"])
                    #expect(owner["controller"] == true)
                    #expect(owner["blockOwnerDeletion"] == true)
                }
            }
        }
    }

    @Test(arguments: ClusterKind.all)
    func aResyncAndARestartLookAtEverythingAndChangeNothing(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            let pools = ["first", "second", "third"]
            try await stage.withOperator { _ in
                for pool in pools { try await stage.apply(Manifests.pool(pool), .agentPools) }
                for pool in pools { try await stage.ready(pool) }
            }
            let before = try await stage.versions(of: pools)
            try await stage.withOperator(configure: { $0.resyncInterval = .seconds(1) }) { controller in
                try await until("every pool was looked at several times") {
                    try await controller.reconciles() >= 12
                }
                print("\(kind.rawValue): \(Int(try await controller.reconciles())) reconciles moved nothing")
            }
            #expect(try await stage.versions(of: pools) == before)
        }
    }

    @Test(arguments: ClusterKind.all)
    func poolsOfOneNameInTwoNamespacesDoNotMeet(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            try await stage.withOperator { _ in
                for namespace in [stage.namespace, stage.other] {
                    try await stage.apply(
                        Manifests.pool("same", instructions: "You are in \(namespace).").with(
                            namespace: namespace),
                        .agentPools)
                }
                for namespace in [stage.namespace, stage.other] {
                    try await stage.ready("same", in: namespace)
                    let children = try await stage.children(of: "same", in: namespace)
                    let config = try #require(children.keys.first { $0.hasPrefix("ConfigMap") })
                    let map = try #require(
                        try await stage.get(.configMaps, String(config.dropFirst(10)), in: namespace))
                    #expect(map.at("data", PoolNames.configKey)?.string?.contains(namespace) == true)
                }
                try await stage.delete(.agentPools, "same")
                try await until("the deleted one's children are gone") {
                    try await stage.children(of: "same").isEmpty
                }
                #expect(try await stage.children(of: "same", in: stage.other).count >= 7)
            }
        }
    }

    @Test(arguments: ClusterKind.all)
    func poolsInOtherNamespacesThanTheWatchedOnesAreLeftAlone(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            try await stage.withOperator(namespaces: [stage.namespace]) { _ in
                try await stage.apply(Manifests.pool("unseen").with(namespace: stage.other), .agentPools)
                try await stage.apply(Manifests.pool("seen"), .agentPools)
                try await stage.ready("seen")
                #expect(try await stage.children(of: "unseen", in: stage.other).isEmpty)
            }
        }
    }
}

extension Stage {
    /// The resource versions of pools and of all that they own.
    func versions(of pools: [String]) async throws -> [String: String] {
        var all: [String: String] = [:]
        for pool in pools {
            all[pool] = try await get(.agentPools, pool)?.version
            for (name, version) in try await children(of: pool) { all["\(pool) \(name)"] = version }
        }
        return all
    }
}
