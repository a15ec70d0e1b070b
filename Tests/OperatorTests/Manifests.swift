// The AgentPools that tests apply.

import Foundation
import Testing

@testable import PoolAPI

enum Manifests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The documents of a file of the repository.
    static func file(_ path: String) throws -> [JSONValue] {
        let yaml = try String(contentsOf: root.appending(path: path), encoding: .utf8)
        return try YAMLReader.documents(in: yaml, file: path).map(\.json)
    }

    static func support() throws -> JSONValue { try #require(try file("examples/support.yaml").first) }

    /// The least that works.
    static func pool(_ name: String, instructions: String = "Be of help.", _ more: JSONValue = [:])
        -> JSONValue
    {
        var spec: [String: JSONValue] = [
            "agents": [["name": "assistant", "instructions": .string(instructions)]]
        ]
        if case .object(let members) = more { spec.merge(members) { $1 } }
        return [
            "apiVersion": .string(AgentPool.apiVersion), "kind": .string(AgentPool.kind),
            "metadata": ["name": .string(name)], "spec": .object(spec),
        ]
    }

    /// A memory that more than one replica may share.
    static let redis: JSONValue = ["redis": ["addresses": ["redis.data:6379"]]]
}
