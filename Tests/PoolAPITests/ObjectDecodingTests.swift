// AgentPool objects as an API server sends them, and the bytes that are sent back.
import Foundation
import Testing

@testable import PoolAPI

@Suite struct ObjectDecodingTests {
    private static let object: JSONValue = [
        "apiVersion": "agentpool.dev/v1alpha1", "kind": "AgentPool",
        "metadata": [
            "name": "support", "namespace": "shop", "uid": "3b7f", "resourceVersion": "12", "generation": 2,
            "labels": ["team": "a"], "managedFields": [["manager": "kubectl", "fieldsV1": ["f:spec": [:]]]],
            "annotations": [
                "note": "yes",
                "kubectl.kubernetes.io/last-applied-configuration": .string(
                    String(repeating: "x", count: 10_000)),
            ],
        ],
        "spec": ["agents": [["name": "a", "instructions": "Help."]]],
        "status": ["observedGeneration": 2, "replicas": 3],
    ]

    @Test("An object is completed, and keeps the metadata that a manifest has")
    func complete() throws {
        let pool = try AgentPool.decode(Self.object.bytes())
        #expect(pool.reference == PoolReference(namespace: "shop", name: "support"))
        #expect(pool.metadata.labels == ["team": "a"])
        #expect(pool.metadata.annotations == ["note": "yes"])
        #expect(pool.spec.memory.scope == "shop/support")
        #expect(pool.spec.agents[0].model == AgentPoolSpec.builtinChatModel)
        #expect(pool.status?.replicas == 3)
    }

    @Test("A status of another version counts as absent")
    func status() throws {
        var object = Self.object
        object["status"] = ["replicas": "three", "novelty": true]
        #expect(try AgentPool.decode(object).status == nil)
    }

    @Test("Problems are told with their fields and without lines")
    func problems() {
        var object = Self.object
        object["spec"]?["entryAgent"] = "b"
        object["spec"]?["replicas"] = 3
        let error = #expect(throws: ManifestError.self) { try AgentPool.decode(object.bytes()) }
        #expect(error?.problems.map(\.path) == ["spec.entryAgent", "spec.replicas"])
        #expect(error?.problems.allSatisfy { $0.line == nil && $0.file == nil } == true)
        #expect(throws: ManifestError.self) { try AgentPool.decode(Array("{".utf8)) }
    }

    @Test("Bytes are sorted, escaped and the same every time, and mean what Foundation reads of them")
    func bytes() throws {
        let value: JSONValue = [
            "b": [1, 2.5, true, .null, "a\"\\\n\u{1}é"], "a": [:], "c": ["z": -1, "y": []], "big": 1e21,
        ]
        let text = String(decoding: value.bytes(), as: UTF8.self)
        #expect(
            text
                == #"{"a":{},"b":[1,2.5,true,null,"a\"\\\n\u0001é"],"big":1e+21,"c":{"y":[],"z":-1}}"#)
        #expect(try JSONDecoder().decode(JSONValue.self, from: Data(value.bytes())) == value)
    }

    @Test("Nulls are taken out at any depth")
    func nulls() {
        let value: JSONValue = ["a": .null, "b": [.null, ["c": .null, "d": 1]]]
        #expect(value.withoutNulls() == ["b": [["d": 1]]])
    }

    @Test("YAML of a value reads as the same value, and starts with what people look for")
    func yaml() throws {
        let value: JSONValue = [
            "a": "y", "kind": "K", "apiVersion": "v1", "metadata": ["z": 1, "name": "web"],
            "words": [
                "on", "0x1f", "1e3", "", "null", "a: b", "# c", "2026-01-01", "{\"x\": 1}", "line\nline",
            ],
            "numbers": [1, 2.5, true],
        ]
        let text = try value.yaml()
        #expect(text.hasPrefix("apiVersion: v1\nkind: K\nmetadata:\n  name: web\n"))
        #expect(try YAMLReader.documents(in: text, file: nil).map(\.json) == [value])
    }

    @Test("A namespace from outside is that of pools that name none")
    func namespace() throws {
        let yaml = """
            apiVersion: agentpool.dev/v1alpha1
            kind: AgentPool
            metadata: {name: one}
            spec: {agents: [{name: a, instructions: Help.}]}
            """
        let pool = try #require(try ManifestFile.parse(yaml: yaml, namespace: "shop").pools.first)
        #expect(pool.reference == PoolReference(namespace: "shop", name: "one"))
        #expect(pool.spec.memory.scope == "shop/one")
        let named = yaml.replacing("name: one", with: "name: one, namespace: other")
        #expect(throws: ManifestError.self) { try ManifestFile.parse(yaml: named, namespace: "shop") }
        #expect(try ManifestFile.parse(yaml: named).pools.first?.metadata.namespace == "other")
    }
}
