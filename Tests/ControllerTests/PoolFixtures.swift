// Pools, contexts and golden files for the tests of a pool's children.
import Foundation
import Kubernetes
import PoolAPI
import Testing

@testable import Controller

/// The pools of Tests/Golden/pools, and examples; what is expected of each stands under the same name in Tests/Golden/children.
enum PoolFixtures {
    static let repository = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static let folder = "Tests/Golden/pools"

    static let names: [String] = {
        let path = repository.appending(path: folder).path
        // A folder that can't be read gives no cases, and the test that counts them fails.
        let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return files.filter { $0.hasSuffix(".yaml") }.map { String($0.dropLast(5)) }.sorted()
    }()

    static func text(_ path: String) throws -> String {
        try String(contentsOf: repository.appending(path: path), encoding: .utf8)
    }

    /// The pool of a file and the features that its first line names.
    static func context(_ name: String) throws -> PoolContext {
        let text = try text("\(folder)/\(name).yaml")
        let line = text.prefix { $0 != "\n" }
        var features = ClusterFeatures()
        if line.hasSuffix("keda") { features.hasKEDA = true }
        if line.hasSuffix("gateway") { features.httpRoute = .standard }
        if line.hasSuffix("gateway-experimental") {
            features.httpRoute = .withSessionPersistence(fields: [
                "sessionName", "absoluteTimeout", "idleTimeout", "type", "cookieConfig",
                "cookieConfig.lifetimeType",
            ])
        }
        if line.hasSuffix("gateway-newest") {
            features.httpRoute = .withSessionPersistence(fields: [
                "absoluteTimeout", "type", "cookie", "cookie.name", "cookie.path", "cookie.lifetimeType",
                "header", "header.name",
            ])
        }
        return try context(yaml: text, features)
    }

    static func context(yaml: String, _ features: ClusterFeatures = ClusterFeatures()) throws -> PoolContext {
        let pool = try #require(try ManifestFile.parse(yaml: yaml).pools.first)
        return PoolContext(
            pool: pool, uid: nil, settings: OperatorSettings(image: "agentpool:test"), features: features)
    }

    /// A pool with these lines below its `spec:`, beside one agent.
    static func context(
        spec: String, _ features: ClusterFeatures = ClusterFeatures()
    ) throws -> PoolContext {
        let lines = "agents: [{name: a, instructions: Help.}]\n\(spec)".split(separator: "\n")
        let yaml = """
            apiVersion: agentpool.dev/v1alpha1
            kind: AgentPool
            metadata: {name: one}
            spec:

            """
        return try context(yaml: yaml + lines.map { "  \($0)\n" }.joined(), features)
    }

    /// Compares with a golden file; `AGENTPOOL_UPDATE_GOLDEN=1` writes it in place of that.
    static func expect(_ text: String, equals path: String) throws {
        if ProcessInfo.processInfo.environment["AGENTPOOL_UPDATE_GOLDEN"] == "1" {
            try text.write(to: repository.appending(path: path), atomically: true, encoding: .utf8)
        }
        let expected = try self.text(path)
        #expect(text == expected, "\(path) differs; AGENTPOOL_UPDATE_GOLDEN=1 swift test writes it anew")
    }
}

extension [Child] {
    func yaml() throws -> String {
        try map { "---\n" + (try $0.manifest.yaml()) }.joined()
    }

    func first(_ kind: ResourceKind) throws -> JSONValue {
        try #require(first { $0.kind == kind }).manifest
    }
}

extension JSONValue {
    /// The member at a path of names and places in lists, such as `spec.containers.0.name`.
    func at(_ path: String) -> JSONValue? {
        path.split(separator: ".").reduce(Optional(self)) { value, step in
            if case .array(let items)? = value {
                Int(step).flatMap { items.indices.contains($0) ? items[$0] : nil }
            } else {
                value?[String(step)]
            }
        }
    }

    /// The entries of a list.
    var items: [JSONValue] { if case .array(let items) = self { items } else { [] } }
}
