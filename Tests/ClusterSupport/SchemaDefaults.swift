/// Fills in the defaults that a custom resource's schema declares, as an API server does on every write.
import PoolAPI

enum SchemaDefaults {
    static func fill(_ value: JSONValue, schema: JSONValue) -> JSONValue {
        switch value {
        case .object(var members):
            for (name, property) in schema["properties"]?.members ?? [:] {
                if members[name] == .null, property["nullable"] != true { members[name] = nil }
                guard let member = members[name] ?? property["default"] else { continue }
                members[name] = fill(member, schema: property)
            }
            if case .object? = schema["additionalProperties"], let each = schema["additionalProperties"] {
                members = members.mapValues { fill($0, schema: each) }
            }
            return .object(members)
        case .array(let items):
            guard let each = schema["items"] else { return value }
            return .array(items.map { fill($0, schema: each) })
        default: return value
        }
    }
}
