// What changes: a spec that is edited, children that others edit or delete, a spec that can't work.

import Foundation
import Kubernetes
import Testing

@testable import Controller
@testable import PoolAPI

@Suite(.serialized, .timeLimit(.minutes(10))) struct ChangeTests {
    @Test(arguments: ClusterKind.all)
    func anEditedSpecReachesItsChildrenAndLeavesNoOldConfiguration(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            try await stage.withOperator { _ in
                try await stage.apply(Manifests.pool("edited"), .agentPools)
                try await stage.ready("edited")
                let first = try #require(try await stage.config(of: "edited"))
                try await stage.apply(Manifests.pool("edited", instructions: "Be brief."), .agentPools)
                try await until("the new configuration is used and the old one gone") {
                    let now = try await stage.config(of: "edited")
                    let children = try await stage.children(of: "edited")
                    return now != first && children["ConfigMap \(first)"] == nil
                        && now.map { children["ConfigMap \($0)"] != nil } == true
                }
                try await stage.ready("edited")
            }
        }
    }

    @Test(arguments: ClusterKind.all)
    func driftInOurFieldsIsCorrectedAndOthersFieldsStay(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            try await stage.withOperator { _ in
                try await stage.apply(Manifests.pool("drifted"), .agentPools)
                try await stage.ready("drifted")
                let image = try #require(try await stage.workerImage(of: "drifted"))
                try await stage.patch(
                    .services, "drifted", ["metadata": ["annotations": ["theirs": "stays"]]])
                try await stage.patch(
                    .services, "drifted", ["metadata": ["labels": [PoolNames.appLabel: "drift"]]])
                var deployment = try #require(try await stage.get(.deployments, "drifted"))
                var container = try #require(
                    deployment.at("spec", "template", "spec", "containers")?.list.first)
                container["image"] = "registry.example/other:1"
                deployment["spec"]?["template"]?["spec"]?["containers"] = .array([container])
                try await stage.patch(
                    .deployments, "drifted",
                    ["spec": ["template": ["spec": ["containers": .array([container])]]]])
                try await until("both are as they were") {
                    let service = try await stage.get(.services, "drifted")
                    let label = service?.at("metadata", "labels", PoolNames.appLabel)
                    let isMended = try await stage.workerImage(of: "drifted") == image
                    return label == "agentpool" && isMended
                        && service?.at("metadata", "annotations", "theirs") == "stays"
                }
            }
        }
    }

    @Test(arguments: ClusterKind.all)
    func aDeletedChildComesBackAndADeletedPoolTakesAllWithIt(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            try await stage.withOperator { _ in
                try await stage.apply(Manifests.pool("mortal"), .agentPools)
                try await stage.ready("mortal")
                let all = Set(try await stage.children(of: "mortal").keys)
                for kind in [ResourceKind.services, .deployments, .networkPolicies, .serviceAccounts] {
                    try await stage.delete(kind, "mortal")
                }
                try await until("what was deleted is there again") {
                    Set(try await stage.children(of: "mortal").keys) == all
                }
                try await stage.ready("mortal")
                try await stage.delete(.agentPools, "mortal")
                try await until("nothing is left") {
                    let isGone = try await stage.get(.agentPools, "mortal") == nil
                    let children = try await stage.children(of: "mortal")
                    return isGone && children.isEmpty
                }
                // The same name again is another pool.
                try await stage.apply(Manifests.pool("mortal", instructions: "Again."), .agentPools)
                try await stage.ready("mortal")
                #expect(Set(try await stage.children(of: "mortal").keys).count == all.count)
            }
        }
    }

    @Test(arguments: ClusterKind.all)
    func aChildThatTheSpecNoLongerWantsIsDeleted(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            try await stage.withOperator { _ in
                let ingress: JSONValue = [
                    "ingress": ["host": "a.example.com"], "auth": ["mode": "None"],
                ]
                try await stage.apply(Manifests.pool("open", ingress), .agentPools)
                try await until("the Ingress is there") { try await stage.get(.ingresses, "open") != nil }
                try await stage.apply(Manifests.pool("open"), .agentPools)
                try await until("the Ingress is gone") { try await stage.get(.ingresses, "open") == nil }
            }
        }
    }

    // A real server refuses such a spec by its rules; the stand-in has none, as one with an older definition.
    @Test func aSpecThatCanNotWorkIsAConditionAndAnEventAndIsMendedByAnother() async throws {
        try await Stage.with(.standIn) { stage in
            try await stage.withOperator { _ in
                let broken: JSONValue = [
                    "agents": [["name": "assistant", "instructions": "Help.", "model": "missing"]]
                ]
                try await stage.apply(Manifests.pool("broken", broken), .agentPools)
                try await until("the pool is Stalled") {
                    try await stage.condition("Stalled", of: "broken") == "True"
                }
                let pool = try #require(try await stage.get(.agentPools, "broken"))
                let stalled = try #require(
                    pool["status"]?["conditions"]?.list.first { $0["type"] == "Stalled" })
                #expect(stalled["reason"] == "InvalidSpec")
                #expect(stalled["message"]?.string?.contains("missing") == true)
                #expect(try await stage.children(of: "broken").isEmpty)
                try await until("an Event says so") {
                    let events = try await stage.objects(.events)
                    return events.contains {
                        $0["regarding"]?["name"] == "broken" && $0["reason"] == "InvalidSpec"
                    }
                }
                try await stage.apply(Manifests.pool("broken"), .agentPools)
                try await stage.ready("broken")
            }
        }
    }
}

extension Stage {
    /// The ConfigMap that the Deployment's pods read.
    func config(of pool: String) async throws -> String? {
        try await get(.deployments, pool)?
            .at("spec", "template", "metadata", "annotations", PoolNames.configAnnotation)?.string
    }

    func workerImage(of pool: String) async throws -> String? {
        try await get(.deployments, pool)?.at("spec", "template", "spec", "containers")?.list
            .first { $0["name"]?.string == PoolNames.workerContainer }?["image"]?.string
    }
}
