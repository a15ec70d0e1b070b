// What a test stands on: an API server with the definition of AgentPools, a namespace of its own, and its hands in it.

import Foundation
import Kubernetes
import Logging
import Testing

@testable import ClusterSupport
@testable import Controller
@testable import PoolAPI

struct Stage: Sendable {
    let cluster: TestCluster
    let client: KubernetesClient
    /// The test's own; `other` is a second one.
    let namespace: String
    let other: String

    var standIn: StandInServer? { cluster.standIn }
    var isReal: Bool { cluster.kind == .real }

    /// Runs a test on a server of this kind and cleans up after it.
    static func with(_ kind: ClusterKind, _ body: (Stage) async throws -> Void) async throws {
        let cluster = try await TestCluster.start(kind)
        let client = KubernetesClient(access: cluster.administrator, limits: .none, logger: .test)
        let name = "test-\(String(UInt32.random(in: .min ... .max), radix: 36))"
        let stage = Stage(cluster: cluster, client: client, namespace: name, other: "\(name)-b")
        var failure: (any Error)?
        do {
            try await stage.prepare()
            try await body(stage)
        } catch {
            failure = error
        }
        for namespace in [stage.namespace, stage.other] {
            // One that a test deleted is not there; a real one that can't be deleted now hurts no other test.
            _ = try? await client.bytes(.delete(.namespaces, namespace, in: nil))
        }
        await client.shutdown()
        try await cluster.end()
        if let failure { throw failure }
    }

    private func prepare() async throws {
        try await apply(definition: try CustomResourceDefinition.yaml())
        try await until("AgentPools are served") { try await client.serves(.agentPools) }
        for namespace in [namespace, other] {
            let body: JSONValue = [
                "apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(namespace)],
            ]
            _ = try await client.bytes(.create(.namespaces, in: nil, body: body.bytes(), manager: "test"))
        }
    }

    private func apply(definition yaml: String) async throws {
        for document in try YAMLReader.documents(in: yaml, file: nil).map(\.json) {
            try await apply(document, .customResourceDefinitions)
        }
    }
}

// MARK: Objects

extension Stage {
    /// Applies an object as a user of kubectl would.
    @discardableResult
    func apply(
        _ object: JSONValue, _ kind: ResourceKind, manager: String = "kubectl", force: Bool = true,
        dryRun: Bool = false, subresource: String? = nil
    ) async throws -> JSONValue {
        let namespace = object["metadata"]?["namespace"].flatMap(\.string) ?? namespace
        return try await self.object(
            .apply(
                kind, object.name, in: kind.isNamespaced ? namespace : nil,
                manifest: object.withoutNulls().bytes(), manager: manager, force: force, dryRun: dryRun,
                subresource: subresource))
    }

    @discardableResult
    func patch(
        _ kind: ResourceKind, _ name: String, in namespace: String? = nil, subresource: String? = nil,
        manager: String = "somebody", _ patch: JSONValue
    ) async throws -> JSONValue {
        try await object(
            .mergePatch(
                kind, name, in: namespace ?? self.namespace, patch: patch.bytes(), manager: manager,
                subresource: subresource))
    }

    func get(_ kind: ResourceKind, _ name: String, in namespace: String? = nil) async throws -> JSONValue? {
        do throws(APIError) {
            return try await self.object(.get(kind, name, in: namespace ?? self.namespace))
        } catch {
            if error.isNotFound { return nil }
            throw error
        }
    }

    /// Whole objects, by a reader that is fast enough for tests that look often.
    private func object(_ request: APIRequest) async throws(APIError) -> JSONValue {
        try Self.read(try await client.bytes(request))
    }

    func objects(
        _ kind: ResourceKind, in namespace: String? = nil, labels: String? = nil
    ) async throws(APIError) -> [JSONValue] {
        let list = try await object(.list(kind, in: namespace ?? self.namespace, labels: labels))
        return list["items"]?.list ?? []
    }

    private static func read(_ bytes: [UInt8]) throws(APIError) -> JSONValue {
        do { return try ClusterSupport.JSONBytes.read(bytes) } catch {
            throw APIError(status: 0, reason: APIError.Unanswered.malformed, message: error.message)
        }
    }

    func delete(_ kind: ResourceKind, _ name: String, in namespace: String? = nil) async throws {
        _ = try await client.bytes(.delete(kind, name, in: namespace ?? self.namespace))
    }

    /// A pool as the cluster has it, once its status is of its newest spec and says that it is ready.
    @discardableResult
    func ready(_ pool: String, in namespace: String? = nil) async throws -> JSONValue {
        try await eventually("\(pool) is ready") {
            guard let object = try await get(.agentPools, pool, in: namespace),
                object["status"]?["observedGeneration"] == object["metadata"]?["generation"],
                object.condition("Ready") == "True"
            else { return nil }
            return object
        }
    }

    func condition(_ type: String, of pool: String) async throws -> String? {
        try await get(.agentPools, pool)?.condition(type)
    }

    /// All that a pool owns, by `Kind name`, and each one's resource version.
    func children(of pool: String, in namespace: String? = nil) async throws -> [String: String] {
        var found: [String: String] = [:]
        for kind in Self.childKinds {
            do throws(APIError) {
                let items: [ObjectHeader] = try await client.all(
                    kind, in: namespace ?? self.namespace,
                    labels: "\(PoolNames.managedSelector),\(PoolNames.poolLabel)=\(pool)")
                for item in items {
                    found["\(kind.kind) \(item.metadata.name)"] = item.metadata.resourceVersion
                }
            } catch {
                // A kind that this server does not serve.
                if !error.isNotFound { throw error }
            }
        }
        return found
    }

    static let childKinds: [ResourceKind] = [
        .serviceAccounts, .configMaps, .services, .deployments, .podDisruptionBudgets, .networkPolicies,
        .ingresses, .httpRoutes, .scaledObjects, .horizontalPodAutoscalers, .persistentVolumeClaims, .jobs,
    ]
}

extension JSONValue {
    var string: String? { if case .string(let text) = self { text } else { nil } }
    var number: Int? { if case .integer(let value) = self { value } else { nil } }
    var list: [JSONValue] { if case .array(let items) = self { items } else { [] } }
    var name: String { self["metadata"]?["name"]?.string ?? "" }
    var version: String { self["metadata"]?["resourceVersion"]?.string ?? "" }
    var generation: Int { self["metadata"]?["generation"]?.number ?? 0 }

    /// The condition's status.
    func condition(_ type: String) -> String? {
        self["status"]?["conditions"]?.list.first { $0["type"]?.string == type }?["status"]?.string
    }

    /// The value at the end of these names.
    func at(_ path: String...) -> JSONValue? { path.reduce(Optional(self)) { $0?[$1] } }

    func with(namespace: String) -> JSONValue {
        var object = self
        object["metadata"]?["namespace"] = .string(namespace)
        return object
    }
}
