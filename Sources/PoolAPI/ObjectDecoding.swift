// Reads AgentPool objects as an API server sends them.

extension AgentPool {
    /// Reads one object's JSON, completes it and validates it.
    ///
    /// Of the metadata only name, namespace, labels and the annotations that fit a manifest are kept. A status that this version can't
    /// read counts as absent: whoever reconciles writes it anew.
    /// - Throws: All problems found, together, as `ManifestFile.parse`, without file and lines.
    public static func decode(_ json: some Sequence<UInt8>) throws(ManifestError) -> AgentPool {
        let value: JSONValue
        do {
            value = try JSONText.value(of: Array(json))
        } catch {
            throw ManifestError(problems: [
                .init(path: "", message: "is not JSON", mend: "this is the API server's to mend")
            ])
        }
        return try decode(value)
    }

    /// Reads one object, as `decode` of its bytes.
    public static func decode(_ object: JSONValue) throws(ManifestError) -> AgentPool {
        var object = object
        let status = object["status"]
        object["status"] = nil
        if case .object(let metadata)? = object["metadata"] {
            object["metadata"] = .object(
                metadata.filter { ["name", "namespace", "labels"].contains($0.key) })
            if case .object(let annotations)? = metadata["annotations"] {
                // `kubectl apply` keeps the whole manifest in an annotation, longer than the schema lets one be.
                object["metadata"]?["annotations"] = .object(annotations.filter { $0.value.isShortText })
            }
        }
        var reader = ManifestReader(file: nil, servedIn: .cluster)
        let pool = reader.read(
            LocatedValue(object), ManifestSchema.agentPool, as: AgentPool.self, spec: \.spec,
            pool: { PoolReference($0["metadata"]) })
        guard var pool, reader.problems.isEmpty else { throw ManifestError(problems: reader.problems) }
        if let status { pool.status = AgentPoolStatus(readable: status) }
        return pool
    }
}

extension AgentPoolStatus {
    fileprivate init?(readable value: JSONValue) {
        var reader = ManifestReader(file: nil, servedIn: .cluster)
        let status = reader.read(LocatedValue(value), ManifestSchema.status, as: AgentPoolStatus.self)
        guard let status, reader.problems.isEmpty else { return nil }
        self = status
    }
}

extension JSONValue {
    fileprivate var isShortText: Bool {
        if case .string(let text) = self { text.utf8.count <= 4096 } else { false }
    }
}
