// Decides which fields of a valid specification this version serves, and which it leaves to a cluster.
import Foundation

/// What this version can serve of a valid specification, and what it leaves to a cluster.
extension AgentPoolSpec {
    /// The fields that this version reads but can't serve; a worker must not serve with them.
    /// - Throws: `EncodingError` where a number in `parameters` is not finite, which no manifest can say.
    public func unsupported() throws -> [ManifestError.Problem] {
        try findings { field, path in
            guard let feature = field.missingFeature else { return nil }
            return ManifestError.Problem(
                path: path, message: "\(feature) not supported by this version of agentpool",
                mend: "remove the field")
        }
    }

    /// The paths of the fields that only a cluster uses, as far as they differ from their defaults.
    /// - Throws: As `unsupported`.
    public func clusterOnlyFields() throws -> [String] {
        try findings { field, path in field.isClusterOnly ? path : nil }
    }

    /// The same specification on the embedded stores in place of Redis and Milvus.
    public func embedded() -> AgentPoolSpec {
        var spec = self
        if let redis = memory.redis { spec.memory.embedded.checkpointTTL = redis.checkpointTTL }
        spec.memory.redis = nil
        spec.memory.milvus = nil
        return spec
    }

    /// What `finding` makes of the given fields, outermost first; a field with a finding is not looked into.
    private func findings<Finding>(
        _ finding: (Schema.Field, String) -> Finding?
    ) throws -> [Finding] {
        let json = try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(self))
        var found: [Finding] = []
        func visit(_ value: JSONValue, _ schema: Schema, _ path: String) {
            switch (schema.kind, value) {
            case (.object(let fields), .object(let members)):
                for field in fields {
                    guard let member = members[field.name], !field.isDefault(member) else { continue }
                    let fieldPath = "\(path).\(field.name)"
                    if let result = finding(field, fieldPath) {
                        found.append(result)
                    } else {
                        visit(member, field.schema, fieldPath)
                    }
                }
            case (.list(let item, _, _), .array(let items)):
                for (index, element) in items.enumerated() { visit(element, item, "\(path)[\(index)]") }
            default:
                break
            }
        }
        visit(json, ManifestSchema.spec, "spec")
        return found
    }
}

extension Schema.Field {
    fileprivate func isDefault(_ value: JSONValue) -> Bool {
        if case .defaults(let standard) = presence { schema.completed(standard) == value } else { false }
    }
}
