// Owns the form of a manifest file: which documents it may hold and what is made of each.
import Foundation

/// What a manifest file holds: pools, and the Secrets and ConfigMaps that they name, in any order.
public struct ManifestFile: Sendable, Equatable {
    public var pools: [AgentPool] = []
    /// The decoded values of each Secret, by its name.
    public var secrets: [String: [String: String]] = [:]
    /// The values of each ConfigMap, by its name.
    public var configMaps: [String: [String: String]] = [:]

    /// Reads a YAML (or JSON) text of one or more documents and validates it.
    ///
    /// Each pool comes back with every default filled in. Null means absent, and plain words mean what they mean to `kubectl`.
    /// - Parameters:
    ///   - file: The name that errors give; it is not opened.
    ///   - namespace: Where a pool goes that names no namespace, as `kubectl --namespace` has it; nil: `default`.
    ///   - place: where its pools are to be served.
    /// - Throws: All problems found, together; a text that is not YAML gives its first one alone. No value of a Secret is in a message.
    public static func parse(
        yaml: String, file: String? = nil, namespace: String? = nil, servedIn place: ServingPlace = .machine
    ) throws(ManifestError) -> ManifestFile {
        var reader = ManifestReader(file: file, servedIn: place)
        var manifest = ManifestFile()
        for document in try YAMLReader.documents(in: yaml, file: file) {
            manifest.add(namespace.map(document.inNamespace) ?? document, &reader)
            if let namespace, let pool = manifest.pools.last, pool.metadata.namespace != namespace {
                reader.report(
                    path: "metadata.namespace", "is not \(namespace), the namespace asked for",
                    "name one of the two only")
            }
        }
        guard reader.problems.isEmpty else { throw ManifestError(problems: reader.problems) }
        return manifest
    }

    private mutating func add(_ document: LocatedValue, _ reader: inout ManifestReader) {
        switch document.text(of: "kind") {
        case AgentPool.kind?:
            let pool = reader.read(
                document, ManifestSchema.agentPool, as: AgentPool.self, spec: \.spec,
                pool: { PoolReference($0["metadata"]) })
            guard let pool else { return }
            if pools.contains(where: { $0.reference == pool.reference }) {
                reportTwice("AgentPool", pool.metadata.name, &reader)
            }
            pools.append(pool)
        case "Secret"?:
            guard let secret = reader.read(document, ManifestSchema.secret, as: TextObject.self) else {
                return
            }
            if secrets[secret.metadata.name] != nil {
                reportTwice("Secret", secret.metadata.name, &reader)
            }
            var values: [String: String] = [:]
            for (key, encoded) in secret.data.sorted(by: { $0.key < $1.key }) {
                if let value = Data(base64Encoded: encoded), let text = String(data: value, encoding: .utf8) {
                    values[key] = text
                } else {
                    reader.report(
                        path: SchemaCheck.path("data", key), "is not base64 of UTF-8 text",
                        "encode it with base64, or write it as text under stringData")
                }
            }
            secrets[secret.metadata.name] = values.merging(secret.stringData ?? [:]) { _, text in text }
        case "ConfigMap"?:
            guard let map = reader.read(document, ManifestSchema.configMap, as: TextObject.self) else {
                return
            }
            if configMaps[map.metadata.name] != nil {
                reportTwice("ConfigMap", map.metadata.name, &reader)
            }
            configMaps[map.metadata.name] = map.data
        case let kind:
            let line = document.line
            let mend = "use documents of the kinds AgentPool, Secret and ConfigMap only"
            if let kind {
                reader.report(line: line, path: "kind", "\"\(kind.prefix(63))\" is not supported here", mend)
            } else {
                reader.report(line: line, path: "kind", "the document has no kind", mend)
            }
        }
    }

    private func reportTwice(_ kind: String, _ name: String, _ reader: inout ManifestReader) {
        reader.report(
            path: "metadata.name", "the file has two documents \(kind) \"\(name)\"", "rename or remove one")
    }

    /// A Secret or a ConfigMap.
    private struct TextObject: Decodable {
        struct Metadata: Decodable {
            let name: String
        }
        let metadata: Metadata
        let data: [String: String]
        let stringData: [String: String]?
    }
}

extension AgentPoolSpec {
    /// Reads a specification alone, the text below a manifest's `spec:`.
    /// - Throws: As `ManifestFile.parse`.
    public static func parse(
        yaml: String, for pool: PoolReference = PoolReference(name: "local"), file: String? = nil,
        servedIn place: ServingPlace = .machine
    ) throws(ManifestError) -> AgentPoolSpec {
        let documents = try YAMLReader.documents(in: yaml, file: file)
        let spec = documents.first ?? LocatedValue(content: .object([]), line: 1)
        let document = LocatedValue(
            content: .object([.init(name: "spec", line: spec.line, value: spec)]), line: spec.line)
        var reader = ManifestReader(file: file, servedIn: place)
        let holder = reader.read(
            document, .object([Schema.Field("spec", "", ManifestSchema.spec, .required)]), as: SpecAlone.self,
            spec: \.spec, pool: { _ in pool })
        guard let holder, reader.problems.isEmpty else { throw ManifestError(problems: reader.problems) }
        return holder.spec
    }

    private struct SpecAlone: Decodable {
        let spec: AgentPoolSpec
    }
}

extension LocatedValue {
    /// The object with this namespace where it names none.
    fileprivate func inNamespace(_ namespace: String) -> LocatedValue {
        guard case .object(let members) = content else { return self }
        let located = members.map { member -> Member in
            guard member.name == "metadata", case .object(let metadata) = member.value.content,
                !metadata.contains(where: { $0.name == "namespace" })
            else { return member }
            let value = LocatedValue(content: .string(namespace), line: member.line)
            let added = Member(name: "namespace", line: member.line, value: value)
            return Member(
                name: member.name, line: member.line,
                value: LocatedValue(content: .object(metadata + [added]), line: member.value.line))
        }
        return LocatedValue(content: .object(located), line: line)
    }
}

extension PoolReference {
    /// The reference in an object's metadata or in a worker's configuration, both of which the schema has checked.
    init(_ checked: JSONValue?) {
        func text(_ name: String) -> String {
            if case .string(let text)? = checked?[name] { text } else { "" }
        }
        self.init(namespace: text("namespace"), name: text("name"))
    }
}
