/// Says which lists of an object are keyed, which are sets and which are replaced whole, by their field's name.
import PoolAPI

struct ListRules: Sendable {
    enum Shape: Equatable {
        case atomic
        case set
        case keyed([String])

        func key(of item: JSONValue) -> String {
            guard case .keyed(let keys) = self else {
                return "v:" + String(decoding: JSONBytes.write(item), as: UTF8.self)
            }
            let pairs = keys.compactMap { key -> String? in
                let value = item[key] ?? (key == "protocol" ? "TCP" : nil)
                return value.map { "\"\(key)\":" + String(decoding: JSONBytes.write($0), as: UTF8.self) }
            }
            return "k:{" + pairs.joined(separator: ",") + "}"
        }
    }

    /// Of a custom resource, from its schema; nil for the kinds that every cluster has.
    private var custom: [String: Shape]?

    static let builtIn = ListRules(custom: nil)

    /// - Parameter schema: the `openAPIV3Schema` of a definition.
    init(schema: JSONValue) {
        var shapes: [String: Shape] = [:]
        Self.gather(schema, into: &shapes)
        custom = shapes
    }

    private init(custom: [String: Shape]?) { self.custom = custom }

    func shape(of field: String, items: [JSONValue]) -> Shape {
        switch field {
        case "ownerReferences": return .keyed(["uid"])
        case "finalizers": return .set
        default: break
        }
        if let custom { return custom[field] ?? .atomic }
        switch field {
        case "containers", "initContainers", "volumes", "env", "imagePullSecrets":
            return keyed(["name"], items)
        case "volumeMounts": return keyed(["mountPath"], items)
        case "topologySpreadConstraints": return keyed(["topologyKey", "whenUnsatisfiable"], items)
        case "conditions": return keyed(["type"], items)
        case "ports":
            let isContainers = items.first?["containerPort"] != nil
            return keyed(isContainers ? ["containerPort", "protocol"] : ["port", "protocol"], items)
        default: return .atomic
        }
    }

    /// Whether a field's members are owned together.
    func isAtomic(_ field: String) -> Bool {
        guard custom == nil else { return false }
        return switch field {
        case "selector", "labelSelector", "podSelector", "namespaceSelector", "configMapKeyRef",
            "secretKeyRef":
            true
        default: false
        }
    }

    private func keyed(_ keys: [String], _ items: [JSONValue]) -> Shape {
        items.allSatisfy { $0[keys[0]] != nil } ? .keyed(keys) : .atomic
    }

    private static func gather(_ schema: JSONValue, into shapes: inout [String: Shape]) {
        if case .object(let properties) = schema["properties"] {
            for (name, property) in properties {
                switch property["x-kubernetes-list-type"] {
                case "map":
                    guard case .array(let keys) = property["x-kubernetes-list-map-keys"] else { break }
                    shapes[name] = .keyed(keys.compactMap(\.text))
                case "set": shapes[name] = .set
                default: break
                }
                gather(property, into: &shapes)
            }
        }
        if let items = schema["items"] { gather(items, into: &shapes) }
    }
}

extension JSONValue {
    /// The text, where this is a string.
    var text: String? { if case .string(let text) = self { text } else { nil } }
    var integer: Int? { if case .integer(let value) = self { value } else { nil } }
    var items: [JSONValue] { if case .array(let items) = self { items } else { [] } }
    var members: [String: JSONValue] { if case .object(let members) = self { members } else { [:] } }
}
