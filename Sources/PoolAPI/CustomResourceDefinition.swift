// Makes the cluster's definition of AgentPool objects from the manifest's schema.
import Yams

/// The CustomResourceDefinition that lets a cluster store AgentPool objects and check their form, made from the manifest's schema.
public enum CustomResourceDefinition {
    static let plural = "agentpools"

    /// The definition as YAML, the same bytes every time.
    public static func yaml() throws -> String {
        let header =
            "# Made from the schema in Sources/PoolAPI, which the reader of manifests checks by too.\n"
        return header + (try serialize(node: definition, width: -1))
    }

    private static var definition: Node {
        map([
            ("apiVersion", "apiextensions.k8s.io/v1"),
            ("kind", "CustomResourceDefinition"),
            (
                "metadata",
                map([
                    ("name", text("\(plural).\(AgentPool.group)")),
                    // The chart installs the definition as a template so that it is upgraded; removing the chart must not remove the pools.
                    ("annotations", map([("helm.sh/resource-policy", "keep")])),
                ])
            ),
            (
                "spec",
                map([
                    ("group", text(AgentPool.group)),
                    (
                        "names",
                        map([
                            ("kind", text(AgentPool.kind)), ("listKind", text("\(AgentPool.kind)List")),
                            ("plural", text(plural)), ("singular", "agentpool"), ("shortNames", ["ap"]),
                            ("categories", ["agentpool"]),
                        ])
                    ),
                    ("scope", "Namespaced"),
                    ("versions", [version]),
                ])
            ),
        ])
    }

    private static var version: Node {
        map([
            ("name", text(AgentPool.version)),
            ("served", bool(true)),
            ("storage", bool(true)),
            (
                "additionalPrinterColumns",
                [
                    column("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status"),
                    column("Replicas", "integer", ".status.replicas"),
                    column("Sessions", "integer", ".status.activeSessions"),
                    column("URL", "string", ".status.url"),
                    column("Age", "date", ".metadata.creationTimestamp"),
                ]
            ),
            (
                "subresources",
                map([
                    ("status", map([])),
                    (
                        "scale",
                        map([
                            ("specReplicasPath", ".spec.replicas"),
                            ("statusReplicasPath", ".status.replicas"),
                            ("labelSelectorPath", ".status.selector"),
                        ])
                    ),
                ])
            ),
            ("schema", map([("openAPIV3Schema", root)])),
        ])
    }

    /// The object as a whole: the API server checks apiVersion and kind itself, and of metadata it lets a schema bound the name only.
    private static var root: Node {
        guard case .object(let fields) = ManifestSchema.agentPool.kind else {
            preconditionFailure("the manifest's schema is an object")
        }
        let properties = fields.map { field -> (String, Node) in
            switch field.name {
            case "apiVersion", "kind": (field.name, map([("type", "string")]))
            case "metadata": (field.name, metadata(field.schema))
            default: (field.name, property(field))
            }
        }
        return map([
            ("description", "A pool of agents with one memory."), ("type", "object"),
            ("required", ["spec"]), ("properties", map(properties)),
        ])
    }

    private static func metadata(_ schema: Schema) -> Node {
        guard case .object(let fields) = schema.kind else {
            preconditionFailure("metadata is an object")
        }
        let name = fields.filter { $0.name == "name" }.map { ($0.name, map(constraints($0.schema))) }
        return map([("type", "object"), ("properties", map(name))])
    }

    private static func property(_ field: Schema.Field) -> Node {
        var summary = field.summary
        if case .derived(let words) = field.presence { summary += " Default: \(words)." }
        var members = [("description", text(summary))]
        if case .defaults(let value) = field.presence { members.append(("default", value.yamlNode)) }
        return map(members + constraints(field.schema))
    }

    private static func constraints(_ schema: Schema) -> [(String, Node)] {
        let rules = rules(of: schema)
        return form(schema) + (rules.isEmpty ? [] : [("x-kubernetes-validations", list(rules.map(rule)))])
    }

    /// The rules of one value, those that are written out and those that follow from its bounds.
    static func rules(of schema: Schema) -> [Schema.Rule] { schema.rules + boundRules(schema) }

    private static func rule(_ rule: Schema.Rule) -> Node {
        var members = [("rule", text(rule.expression)), ("message", text(rule.message))]
        if let field = rule.field { members.append(("fieldPath", text(".\(field)"))) }
        return map(members)
    }

    /// Bounds that OpenAPI can't say of a text.
    private static func boundRules(_ schema: Schema) -> [Schema.Rule] {
        guard case .duration(let range) = schema.kind else { return [] }
        let (low, high) = (range.lowerBound.text, range.upperBound.text)
        return [
            Schema.Rule(
                "duration(self) >= duration('\(low)') && duration(self) <= duration('\(high)')",
                "choose from \(low) to \(high)")
        ]
    }

    private static func form(_ schema: Schema) -> [(String, Node)] {
        switch schema.kind {
        case .text(let length, let pattern):
            return [("type", "string")]
                + (length.lowerBound > 0 ? [("minLength", integer(length.lowerBound))] : [])
                + [("maxLength", integer(length.upperBound))]
                + (pattern.map { [("pattern", text($0.regex))] } ?? [])
        case .choice(let choices):
            return [("type", "string"), ("enum", list(choices.map(text)))]
        case .integer(let range):
            let maximum = range.upperBound == Int.max ? [] : [("maximum", integer(range.upperBound))]
            return [("type", "integer"), ("format", "int64"), ("minimum", integer(range.lowerBound))]
                + maximum
        case .number(let range):
            return [
                ("type", "number"), ("minimum", number(range.lowerBound)),
                ("maximum", number(range.upperBound)),
            ]
        case .duration:
            return [
                ("type", "string"), ("maxLength", integer(DurationText.lengthLimit)),
                ("pattern", text(DurationText.pattern)),
            ]
        case .bytes: return quantity(ByteQuantity.pattern)
        case .cpu: return quantity(CPUQuantity.pattern)
        case .object(let fields):
            let required = fields.filter { if case .required = $0.presence { true } else { false } }
            return [("type", "object")]
                + (required.isEmpty ? [] : [("required", list(required.map { text($0.name) }))])
                + [("properties", map(fields.map { ($0.name, property($0)) }))]
        case .texts(let length):
            return [
                ("type", "object"),
                ("additionalProperties", map([("type", "string"), ("maxLength", integer(length))])),
            ]
        case .list(let item, let count, let identity):
            return [("type", "array")]
                + (count.lowerBound > 0 ? [("minItems", integer(count.lowerBound))] : [])
                + [("maxItems", integer(count.upperBound))] + listType(identity)
                + [("items", map(constraints(item)))]
        case .anyObject, .ignored:
            return [("type", "object"), ("x-kubernetes-preserve-unknown-fields", bool(true))]
        }
    }

    private static func quantity(_ pattern: String) -> [(String, Node)] {
        [
            ("anyOf", [map([("type", "integer")]), map([("type", "string")])]), ("pattern", text(pattern)),
            ("x-kubernetes-int-or-string", bool(true)),
        ]
    }

    private static func listType(_ identity: Schema.Identity) -> [(String, Node)] {
        switch identity {
        case .none: [("x-kubernetes-list-type", "atomic")]
        case .value: [("x-kubernetes-list-type", "set")]
        case .field(let name):
            [("x-kubernetes-list-type", "map"), ("x-kubernetes-list-map-keys", [text(name)])]
        }
    }

    private static func column(_ name: String, _ type: String, _ path: String) -> Node {
        map([("name", text(name)), ("type", text(type)), ("jsonPath", text(path))])
    }
}

/// YAML nodes in a fixed order, strings quoted where a plain word would mean something else.
extension CustomResourceDefinition {
    private static func map(_ members: [(String, Node)]) -> Node {
        Node(members.map { (text($0.0), $0.1) })
    }

    private static func list(_ items: [Node]) -> Node { Node(items) }
    private static func text(_ value: String) -> Node { .scalar(value.represented()) }
    private static func integer(_ value: Int) -> Node { Node(String(value), Tag(.int)) }
    private static func bool(_ value: Bool) -> Node { Node(String(value), Tag(.bool)) }

    private static func number(_ value: Double) -> Node {
        Int(exactly: value).map(integer) ?? Node("\(value)", Tag(.float))
    }
}
