// Walks the fields of schemas, of values and of OpenAPI schemas, so that they can be compared.
import Testing

@testable import PoolAPI

/// The paths of a schema's fields, with `[]` for a list's entries.
enum SchemaFields {
    static func paths(of schema: Schema) -> Set<String> { Set(all(of: schema).map(\.path)) }

    static func all(of schema: Schema, at path: String = "") -> [(path: String, field: Schema.Field)] {
        switch schema.kind {
        case .object(let fields):
            fields.flatMap { field -> [(path: String, field: Schema.Field)] in
                if case .ignored = field.schema.kind { return [] }
                let fieldPath = path.isEmpty ? field.name : "\(path).\(field.name)"
                return [(fieldPath, field)] + all(of: field.schema, at: fieldPath)
            }
        case .list(let item, _, _): all(of: item, at: "\(path)[]")
        default: []
        }
    }
}

/// The paths of a value's stored properties, also of those that are nil.
enum StoredFields {
    static func paths(of value: Any, at path: String = "") -> Set<String> {
        if value is DurationText || value is ByteQuantity || value is CPUQuantity { return [] }
        let mirror = Mirror(reflecting: value)
        switch mirror.displayStyle {
        case .optional:
            return mirror.children.first.map { paths(of: $0.value, at: path) } ?? []
        case .collection:
            return mirror.children.reduce(into: []) { $0.formUnion(paths(of: $1.value, at: "\(path)[]")) }
        case .struct:
            return mirror.children.reduce(into: []) { found, child in
                guard let label = child.label else { return }
                let childPath = path.isEmpty ? label : "\(path).\(label)"
                found.insert(childPath)
                found.formUnion(paths(of: child.value, at: childPath))
            }
        default:
            return []
        }
    }
}

/// An API server's demands on a structural schema, as far as this definition could break them.
enum OpenAPISchema {
    /// Collects the paths of all properties on the way.
    static func check(_ schema: JSONValue, at path: String, into paths: inout Set<String>) {
        #expect(
            schema["type"] != nil || schema["x-kubernetes-int-or-string"] == true, "\(path) has no type")
        if case .object(let properties)? = schema["properties"] {
            for (name, property) in properties {
                let childPath = path.isEmpty ? name : "\(path).\(name)"
                paths.insert(childPath)
                if path.hasPrefix("spec") || path.hasPrefix("status") {
                    #expect(property["description"] != nil, "\(childPath) has no description")
                }
                check(property, at: childPath, into: &paths)
            }
            if case .array(let required)? = schema["required"] {
                for case .string(let name) in required { #expect(properties[name] != nil, "\(path).\(name)") }
            }
        }
        guard let items = schema["items"] else { return }
        #expect(schema["maxItems"] != nil, "\(path) is not bounded")
        if case .array(let keys)? = schema["x-kubernetes-list-map-keys"] {
            guard case .array(let required)? = items["required"] else {
                Issue.record("\(path): the key of a list must be required")
                return
            }
            #expect(keys.allSatisfy(required.contains), "\(path): the key of a list must be required")
        }
        check(items, at: "\(path)[]", into: &paths)
    }
}
