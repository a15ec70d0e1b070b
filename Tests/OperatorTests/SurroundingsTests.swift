// What the controller asks around it: the pools' workers for their load, and the cluster for kinds that come and go.

import Foundation
import Kubernetes
import Synchronization
import Testing

@testable import Controller
@testable import PoolAPI

@Suite(.serialized, .timeLimit(.minutes(10))) struct SurroundingsTests {
    /// What a pool's workers answer; nil stands for workers that can't ask their store.
    private final class Load: Sendable {
        let body = Mutex<String?>(nil)

        var answer: HealthServer.Answer {
            guard let body = body.withLock({ $0 }) else {
                return .init(status: .serviceUnavailable, body: "no load\n")
            }
            return .init(status: .ok, body: body)
        }

        func set(_ sessions: [String: Int], draining: Set<String> = []) {
            let pods = sessions.map {
                #"{"name":"\#($0.key)","activeSessions":\#($0.value),"draining":\#(draining.contains($0.key))}"#
            }
            let total = sessions.values.reduce(0, +)
            body.withLock { $0 = #"{"activeSessions":\#(total),"pods":[\#(pods.joined(separator: ","))]}"# }
        }

        func fail() { body.withLock { $0 = nil } }
    }

    @Test(arguments: ClusterKind.all)
    func aPoolsSessionsAreInItsStatusAndItsIdlestPodIsTheCheapestToDelete(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            let load = Load()
            let (ports, opened) = AsyncStream.makeStream(of: Int.self)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await HealthServer(host: "127.0.0.1", port: 0) { _ in load.answer }.run {
                        opened.yield($0)
                        opened.finish()
                    }
                }
                let port = try #require(await ports.first { _ in true })
                try await stage.withOperator(configure: {
                    $0.loadInterval = .milliseconds(100)
                    $0.loadURL = { _ in "http://127.0.0.1:\(port)/load" }
                }) { controller in
                    try await stage.apply(
                        Manifests.pool("busy", ["replicas": 2, "memory": Manifests.redis]), .agentPools)
                    // Whose workers fail is a pool like any other.
                    try await stage.ready("busy")
                    let pods = try await stage.objects(.pods, labels: PoolNames.podSelector("busy")).map(
                        \.name)
                    #expect(pods.count == 2)
                    // A name that is none of the pool's pods must not be written to.
                    load.set([pods[0]: 5, pods[1]: 0, "somebody-elses": 9], draining: ["somebody-elses"])
                    try await until("the sessions are in the status") {
                        try await stage.get(.agentPools, "busy")?.at("status", "activeSessions") == 14
                    }
                    try await until("the pods carry their costs") {
                        let pods = try await stage.objects(.pods, labels: PoolNames.podSelector("busy"))
                        let costs = pods.map {
                            $0.at("metadata", "annotations", DeletionCost.annotation)?.string
                        }
                        return Set(costs) == ["3", nil]
                    }
                    // A store that can't be asked is no news of the sessions.
                    load.fail()
                    let failed = try await controller.metric("agentpool_load_polls_total", "fail")
                    try await until("the load was asked for in vain several times") {
                        try await controller.metric("agentpool_load_polls_total", "fail") >= failed + 3
                    }
                    #expect(try await stage.get(.agentPools, "busy")?.at("status", "activeSessions") == 14)
                    load.set([pods[0]: 0, pods[1]: 0])
                    try await until("the status follows the load again") {
                        try await stage.get(.agentPools, "busy")?.at("status", "activeSessions") == 0
                    }
                }
                group.cancelAll()
            }
        }
    }

    @Test func kedaThatComesTakesTheAutoscalersPlaceAndGivesItBackWhenItGoes() async throws {
        try await Stage.with(.standIn) { stage in
            try await stage.withOperator(configure: { $0.discoveryInterval = .milliseconds(100) }) { _ in
                try await stage.apply(
                    Manifests.pool(
                        "scaled",
                        [
                            "memory": Manifests.redis,
                            "autoscaling": ["minReplicas": 2, "maxReplicas": 8, "targetActiveSessions": 50],
                        ]), .agentPools)
                try await stage.ready("scaled")
                #expect(try await stage.get(.horizontalPodAutoscalers, "scaled") != nil)
                #expect(try await stage.condition("Degraded", of: "scaled") == "True")
                try await stage.apply(Self.kedasDefinition, .customResourceDefinitions)
                try await until("KEDA scales the pool, and nothing else") {
                    guard try await stage.client.serves(.scaledObjects),
                        try await stage.get(.scaledObjects, "scaled") != nil
                    else { return false }
                    return try await stage.get(.horizontalPodAutoscalers, "scaled") == nil
                }
                try await until("nothing is amiss") {
                    try await stage.condition("Degraded", of: "scaled") == "False"
                }
                _ = try await stage.client.bytes(
                    .delete(.customResourceDefinitions, "scaledobjects.keda.sh", in: nil))
                try await until("the HorizontalPodAutoscaler is back, and the pool says what it lacks") {
                    guard try await stage.get(.horizontalPodAutoscalers, "scaled") != nil else {
                        return false
                    }
                    return try await stage.condition("Degraded", of: "scaled") == "True"
                }
            }
        }
    }

    /// As much of it as discovery and an apply need.
    private static let kedasDefinition: JSONValue = [
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": ["name": "scaledobjects.keda.sh"],
        "spec": [
            "group": "keda.sh", "scope": "Namespaced",
            "names": [
                "kind": "ScaledObject", "listKind": "ScaledObjectList", "plural": "scaledobjects",
                "singular": "scaledobject",
            ],
            "versions": [
                [
                    "name": "v1alpha1", "served": true, "storage": true,
                    "schema": [
                        "openAPIV3Schema": [
                            "type": "object",
                            "properties": [
                                "spec": ["type": "object", "x-kubernetes-preserve-unknown-fields": true]
                            ],
                        ]
                    ],
                ]
            ],
        ],
    ]
}
