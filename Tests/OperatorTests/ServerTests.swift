// What the controller relies on an API server for; on the stand-in and on a real one, so that the one is held against the other.

import ClusterSupport
import Kubernetes
import Testing

@testable import PoolAPI

@Suite(.serialized, .timeLimit(.minutes(5))) struct ServerTests {
    private static func deployment(_ image: String, env: [JSONValue] = [], replicas: Int? = 2) -> JSONValue {
        var object: JSONValue = [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web"],
            "spec": [
                "selector": ["matchLabels": ["app": "web"]],
                "template": [
                    "metadata": ["labels": ["app": "web"]],
                    "spec": [
                        "containers": [["name": "web", "image": .string(image), "env": .array(env)]]
                    ],
                ],
            ],
        ]
        if let replicas { object["spec"]?["replicas"] = .integer(replicas) }
        return object
    }

    @Test(arguments: ClusterKind.all) func anApplyThatChangesNothingMovesNoVersion(kind: ClusterKind)
        async throws
    {
        try await Stage.with(kind) { stage in
            let map: JSONValue = [
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "map", "labels": ["a": "b"]],
                "data": ["key": "value"],
            ]
            let first = try await stage.apply(map, .configMaps)
            let second = try await stage.apply(map, .configMaps)
            #expect(first.version == second.version)
            let entry = try #require(first["metadata"]?["managedFields"]?.list.first)
            #expect(entry["manager"] == "kubectl")
            #expect(entry["operation"] == "Apply")
            #expect(entry["time"]?.string?.hasSuffix("Z") == true)
        }
    }

    @Test(arguments: ClusterKind.all)
    func whatAnApplyLeavesOutGoesUnlessItIsSomebodyElses(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            let env: [JSONValue] = [["name": "A", "value": "1"], ["name": "B", "value": "2"]]
            let first = try await stage.apply(
                Self.deployment("web:1", env: env), .deployments, manager: "one")
            try await stage.apply(
                [
                    "apiVersion": "apps/v1", "kind": "Deployment",
                    "metadata": ["name": "web", "annotations": ["theirs": "stays"]], "spec": ["replicas": 2],
                ], .deployments, manager: "two")
            let last = try await stage.apply(
                Self.deployment("web:2", env: [env[1]], replicas: nil), .deployments, manager: "one")
            let container = try #require(last.at("spec", "template", "spec", "containers")?.list.first)
            #expect(container["image"] == "web:2")
            #expect(container["env"]?.list.compactMap { $0["name"] } == ["B"])
            #expect(last.at("spec", "replicas") == 2, "the second manager has it")
            #expect(last.at("metadata", "annotations", "theirs") == "stays")
            #expect(last.generation > first.generation)
        }
    }

    @Test(arguments: ClusterKind.all)
    func anApplyWithoutForceIsRefusedWhereAnotherHasTheField(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            try await stage.apply(Self.deployment("web:1"), .deployments, manager: "one")
            await #expect {
                try await stage.apply(Self.deployment("web:2"), .deployments, manager: "two", force: false)
            } throws: { error in
                let error = error as? APIError
                return error?.isConflict == true && error?.causes.first?.field.contains("image") == true
            }
            try await stage.apply(Self.deployment("web:2"), .deployments, manager: "two")
            await #expect {
                try await stage.apply(Self.deployment("web:1"), .deployments, manager: "one", force: false)
            } throws: { ($0 as? APIError)?.isConflict == true }
        }
    }

    @Test(arguments: ClusterKind.all)
    func writesKeepToTheirPreconditionsAndToStatusOrSpec(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            let first = try await stage.apply(Manifests.pool("guarded"), .agentPools)
            let others: [(metadata: JSONValue, status: Int)] = [
                (["uid": "00000000-0000-0000-0000-000000000000"], 422), (["resourceVersion": "1"], 409),
            ]
            for other in others {
                await #expect {
                    try await stage.patch(.agentPools, "guarded", ["metadata": other.metadata])
                } throws: { ($0 as? APIError)?.status == other.status }
            }
            await #expect {
                var successor = Manifests.pool("guarded")
                successor["metadata"]?["uid"] = "00000000-0000-0000-0000-000000000000"
                try await stage.apply(successor, .agentPools)
            } throws: { ($0 as? APIError)?.status == 422 }
            await #expect {
                _ = try await stage.client.bytes(
                    .delete(.agentPools, "guarded", in: stage.namespace, uid: "other"))
            } throws: { ($0 as? APIError)?.isConflict == true }
            await #expect {
                var gone = Manifests.pool("gone")
                gone["metadata"]?["uid"] = "00000000-0000-0000-0000-000000000000"
                try await stage.apply(gone, .agentPools)
            } throws: { ($0 as? APIError)?.status == 409 }
            let told = try await stage.patch(
                .agentPools, "guarded", subresource: "status",
                ["status": ["replicas": 7], "spec": ["entryAgent": "nobody"]])
            #expect(told.at("status", "replicas") == 7)
            #expect(told.at("spec", "entryAgent") == first.at("spec", "entryAgent"))
            #expect(told.generation == first.generation)
            let specified = try await stage.patch(
                .agentPools, "guarded", ["status": ["replicas": 9], "spec": ["replicas": 1, "image": "i:1"]])
            #expect(specified.at("status", "replicas") == 7)
            #expect(specified.generation == first.generation + 1)
        }
    }

    @Test(arguments: ClusterKind.all)
    func anObjectWithAFinalizerStaysUntilItIsTakenAwayAndTakesItsDependantsAlong(kind: ClusterKind)
        async throws
    {
        try await Stage.with(kind) { stage in
            var pool = Manifests.pool("held")
            pool["metadata"]?["finalizers"] = ["example.com/held"]
            let owner = try await stage.apply(pool, .agentPools)
            let map: JSONValue = [
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": [
                    "name": "owned",
                    "ownerReferences": [
                        [
                            "apiVersion": .string(AgentPool.apiVersion), "kind": .string(AgentPool.kind),
                            "name": "held", "uid": owner["metadata"]?["uid"] ?? .null, "controller": true,
                            "blockOwnerDeletion": true,
                        ]
                    ],
                ],
            ]
            try await stage.apply(map, .configMaps)
            try await stage.delete(.agentPools, "held")
            let marked = try #require(try await stage.get(.agentPools, "held"))
            #expect(marked["metadata"]?["deletionTimestamp"] != nil)
            #expect(try await stage.get(.configMaps, "owned") != nil)
            try await stage.patch(.agentPools, "held", ["metadata": ["finalizers": .null]])
            try await until("both are gone") {
                let pool = try await stage.get(.agentPools, "held")
                let map = try await stage.get(.configMaps, "owned")
                return pool == nil && map == nil
            }
        }
    }

    @Test(arguments: ClusterKind.all) func aListComesInPagesOfOneVersion(kind: ClusterKind) async throws {
        try await Stage.with(kind) { stage in
            for number in 0..<7 {
                try await stage.apply(
                    [
                        "apiVersion": "v1", "kind": "ConfigMap",
                        "metadata": ["name": .string("map-\(number)"), "labels": ["listed": "yes"]],
                    ], .configMaps)
            }
            var names: [String] = []
            var versions: Set<String> = []
            var continuation: String?
            repeat {
                let page = try await stage.client.page(
                    .list(
                        .configMaps, in: stage.namespace, labels: "listed=yes", limit: 3,
                        continuation: continuation))
                names += page.items.compactMap { $0["metadata"]?["name"]?.string }
                versions.insert(page.resourceVersion)
                continuation = page.continuation
                if names.count == 3 { try await stage.delete(.configMaps, "map-6") }
            } while continuation != nil
            #expect(names == (0..<7).map { "map-\($0)" })
            #expect(versions.count == 1)
        }
    }

    @Test func afterItForgotItsVersionsTheStandInRefusesOldOnesAndGoesOn() async throws {
        try await Stage.with(.standIn) { stage in
            let server = try #require(stage.standIn)
            let first = try await stage.apply(Manifests.pool("old"), .agentPools)
            server.expireVersions()
            await #expect {
                _ = try await stage.client.bytes(
                    .watch(.agentPools, in: stage.namespace, from: first.version, timeout: .seconds(1)))
            } throws: { ($0 as? APIError)?.isExpired == true }
            try await server.restart(down: .milliseconds(50))
            #expect(try await stage.get(.agentPools, "old") != nil)
        }
    }

    @Test func theStandInMeetsAFaultAsOftenAsItIsTold() async throws {
        try await Stage.with(.standIn) { stage in
            let server = try #require(stage.standIn)
            server.inject(
                Fault(.refuse, code: 429, retryAfter: 7, method: "PATCH", path: "/agentpools/", times: 1))
            await #expect {
                try await stage.apply(Manifests.pool("slow"), .agentPools)
            } throws: { ($0 as? APIError)?.retryAfter == .seconds(7) }
            try await stage.apply(Manifests.pool("slow"), .agentPools)
            // Twice: a request that a kept connection loses without an answer is sent once more on a new one.
            server.inject(Fault(.loseAnswer, method: "PATCH", path: "/agentpools/", times: 2))
            await #expect {
                try await stage.patch(.agentPools, "slow", ["metadata": ["labels": ["lost": "no"]]])
            } throws: { ($0 as? APIError)?.status == 0 }
            #expect(try await stage.get(.agentPools, "slow")?.at("metadata", "labels", "lost") == "no")
            server.clearFaults()
            #expect((2...3).contains(server.faultsMet))
        }
    }
}
