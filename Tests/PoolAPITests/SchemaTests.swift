// Holds the types, the definition for clusters and the reference of fields to the one schema.
import Testing

@testable import PoolAPI

@Suite struct SchemaTests {
    @Test("The types have exactly the fields of the schema, also those that are absent")
    func typesMirrorSchema() throws {
        var fields: Set<String> = []
        for path in try Golden.corpusFiles("valid") {
            for pool in try ManifestFile.parse(yaml: Golden.text(path)).pools {
                fields.formUnion(StoredFields.paths(of: pool))
            }
        }
        // The API server's own fields are dropped, and these two say what the type itself says.
        let expected = SchemaFields.paths(of: ManifestSchema.agentPool).subtracting(["apiVersion", "kind"])
        #expect(fields.subtracting(expected).sorted() == [])
        #expect(expected.subtracting(fields).sorted() == [])
    }

    @Test("The corpus gives every field of the schema a value")
    func corpusIsComplete() throws {
        var given: Set<String> = []
        for path in try Golden.corpusFiles("valid") {
            for document in try YAMLReader.documents(in: Golden.text(path), file: path)
            where document.text(of: "kind") == AgentPool.kind {
                var check = SchemaCheck(file: path)
                _ = check.check(document, ManifestSchema.agentPool)
                given.formUnion(check.given.keys.map { $0.replacing(/\[[0-9]+\]/, with: "[]") })
            }
        }
        #expect(SchemaFields.paths(of: ManifestSchema.agentPool).subtracting(given).sorted() == [])
    }

    @Test("Every default is a value that its own schema allows")
    func defaults() {
        for (path, field) in SchemaFields.all(of: ManifestSchema.agentPool) {
            guard case .defaults(let value) = field.presence else { continue }
            var check = SchemaCheck(file: nil)
            _ = check.check(LocatedValue(value), field.schema)
            #expect(check.problems.isEmpty, "\(path)")
        }
    }

    @Test("The stand-in of every schema has the schema's form")
    func standIns() {
        for (path, field) in SchemaFields.all(of: ManifestSchema.agentPool) {
            var check = SchemaCheck(file: nil)
            _ = check.check(LocatedValue(field.schema.standIn), field.schema)
            #expect(!check.problems.contains { $0.message.hasPrefix("expected") }, "\(path)")
        }
    }

    @Test("The definition that clusters install is made from the schema, in crds/ and in the chart")
    func customResourceDefinition() throws {
        let yaml = try CustomResourceDefinition.yaml()
        try Golden.expect(yaml, equals: "crds/agentpools.agentpool.dev.yaml")
        try Golden.expect(yaml, equals: "charts/agentpool/files/agentpools.agentpool.dev.yaml")
    }

    @Test("The definition's properties are the schema's, as an API server reads them")
    func definitionProperties() throws {
        let definition = try #require(
            try YAMLReader.documents(in: Golden.text("crds/agentpools.agentpool.dev.yaml"), file: nil).first
        ).json
        guard case .array(let versions)? = definition["spec"]?["versions"],
            let root = versions.first?["schema"]?["openAPIV3Schema"]
        else {
            Issue.record("the definition has no schema")
            return
        }
        var paths: Set<String> = []
        OpenAPISchema.check(root, at: "", into: &paths)
        // The API server knows metadata itself; a definition may bound the name alone.
        let expected = SchemaFields.paths(of: ManifestSchema.agentPool)
            .filter { !$0.hasPrefix("metadata.") || $0 == "metadata.name" }
        #expect(paths == expected)
    }

    @Test("The reference of fields lists what the schema holds")
    func reference() throws {
        try Golden.expect(
            FieldReference.document(ManifestSchema.spec), equals: "docs/manifest.md")
    }

    @Test(
        "A pattern takes the texts that it is for and refuses others",
        arguments: [
            (
                Schema.Pattern.url, ["http://vllm.models:8000/v1", "https://[::1]:8/", "http://a"],
                ["ftp://a", "http://", "http://u:p@a", "http://a?b", "http://a b", "a", "http://a\n"]
            ),
            (.host, ["a.b", "*.example.com", "localhost"], ["A.b", "a..b", "*", "a.*", "-a"]),
            (
                .hostAndPort, ["redis.data:6379", "[::1]:6379"],
                ["redis", "redis:", "redis:port", "u@h:1", ":1"]
            ),
            (.label, ["a", "a-b", "9"], ["", "-a", "a-", "a.b", "a_b"]),
            (.subdomain, ["a.b-c", "a"], ["a.", ".a", "a..b", "A"]),
            (.collection, ["support_memory", "_9"], ["9a", "a-b", ""]),
            (.scope, ["shop/support", "a"], ["/a", "a/", "a//b", "a b"]),
            (.toolName, ["find_order", "a.b/c-d"], ["", "a b"]),
            (.secretKey, ["api-key", "ca.crt", "A_1"], ["", "a/b"]),
            (.cpu, ["700m", "1", "0.5"], ["", "1.5m", "m", "-1"]),
        ] as [(Schema.Pattern, [String], [String])])
    func patterns(pattern: Schema.Pattern, matching: [String], others: [String]) {
        #expect(matching.filter { !pattern.matches($0) } == [])
        #expect(others.filter(pattern.matches) == [])
    }
}
