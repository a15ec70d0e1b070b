// Makes docs/manifest.md from the schema.
@testable import PoolAPI

/// Writes the reference of fields, docs/manifest.md.
enum FieldReference {
    static func document(_ spec: Schema) -> String {
        var lines = introduction.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        lines += ["| field of `spec` | value | default | meaning |", "| --- | --- | --- | --- |"]
        for (path, field) in SchemaFields.all(of: spec) {
            lines.append(
                "| `\(path)` | \(value(of: field.schema)) | \(standard(of: field)) | \(meaning(of: field)) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static let introduction = """
        # The manifest

        One YAML form for `agentpool run -f` and for `kubectl apply`. A field that is not in this table is an error, and `null` means
        that a field is absent. A file may hold several documents: AgentPools, and the Secrets (`stringData` or `data`) and ConfigMaps
        (`data`) that they name; `run` takes the values from there.

        `metadata.name` has at most 40 characters, lower-case letters, digits and dashes, and starts with a letter.

        Marks: **C** only a cluster uses the field, and `run` names it in one log line. **N** this version reads the field and refuses
        to run with it. `run --embedded` puts the embedded stores in the place of `memory.redis` and `memory.milvus`.

        Between fields these rules hold:

        - Names of agents, models, servers, skills and workflow nodes must exist where they are used. `builtin` and `builtin-embedding` always do.
        - An agent's model has no `dimensions`; `memory.embeddingModel` has.
        - `baseURL` is required for the provider `openai`, and has no place beside `builtin`.
        - More than one replica needs `memory.redis`, and `minReplicas` is not above `maxReplicas`. With `memory.embedded.storage` it needs
          `memory.milvus` too: a volume belongs to one pod.
        - `drain.timeout` is not shorter than `concurrency.turnTimeout`.
        - `ingress` and `gateway` exclude each other, and both need authentication unless `auth.mode: None` is written out.
        - `auth.apiKeysSecretRef` and `auth.jwt` exclude each other; `trustedKeys` needs one of them.
        - A skill has `configMapRef` or `volume` ([skills.md](skills.md)).
        - `requireApproval` names tools of `allow`, where that is given.
        - Traefik tells no sessions apart by a header.
        - On an object in a cluster `memory.scope` can't change, and another embedding model needs another `memory.milvus.collection`
          (see `agentpool reindex`).

        An API server refuses what breaks these rules; only the regular expressions of `guard` and bounds in bytes are left to the controller.
        What the controller makes of a pool, of the `affinity` and of `pod.template` is in [children.md](children.md).

        A name has at most 63 lower-case letters, digits and inner dashes; `list, 0–32` counts the entries of a list.
        Durations are whole numbers with the units `ms`, `s`, `m`, `h` (`15m`, `1h30m`). Bytes and CPU are Kubernetes quantities.
        The table is made from the schema that the reader and the CRD share.

        """

    /// Short words for the patterns that come up often.
    private static let words = [
        Schema.Pattern.label.regex: "name", Schema.Pattern.subdomain.regex: "object name",
        Schema.Pattern.url.regex: "URL", Schema.Pattern.host.regex: "host name",
        Schema.Pattern.toolName.regex: "tool name", Schema.Pattern.secretKey.regex: "key",
        Schema.Pattern.hostAndPort.regex: "host:port",
    ]

    private static func value(of schema: Schema) -> String {
        switch schema.kind {
        case .text(let length, let pattern):
            if let pattern, let word = words[pattern.regex] {
                word + (length.upperBound == 63 ? "" : ", to \(length.upperBound)")
            } else {
                "text, \(length.lowerBound)–\(length.upperBound)" + (pattern.map { "; \($0.meaning)" } ?? "")
            }
        case .choice(let choices): choices.map { "`\($0)`" }.joined(separator: ", ")
        case .integer(let range): "\(range.lowerBound)–\(range.upperBound)"
        case .number(let range): "number, \(Int(range.lowerBound))–\(Int(range.upperBound))"
        case .duration(let range): "duration, \(range.lowerBound.text)–\(range.upperBound.text)"
        case .bytes(let range):
            "bytes, \(ByteQuantity.text(of: range.lowerBound))–\(ByteQuantity.text(of: range.upperBound))"
        case .cpu: "CPU"
        case .object, .anyObject: "object"
        case .texts: "object of texts"
        case .list(let item, let count, _):
            "list, \(count.lowerBound)–\(count.upperBound)" + (item.isObject ? "" : " of \(value(of: item))")
        case .ignored: "anything"
        }
    }

    private static func standard(of field: Schema.Field) -> String {
        switch field.presence {
        case .required: "required"
        case .optional: "–"
        case .derived(let words): words
        case .defaults(let value): text(of: value)
        }
    }

    private static func text(of value: JSONValue) -> String {
        switch value {
        case .string(let text): text.isEmpty ? "empty" : "`\(text)`"
        case .integer(let number): "`\(number)`"
        case .number(let number): "`\(number)`"
        default: "empty"
        }
    }

    private static func meaning(of field: Schema.Field) -> String {
        let marks = (field.isClusterOnly ? "**C** " : "") + (field.missingFeature != nil ? "**N** " : "")
        return marks + field.summary
    }
}

extension Schema {
    fileprivate var isObject: Bool { if case .object = kind { true } else { false } }
}
