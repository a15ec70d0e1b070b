/// Decides which arguments of a call also stand in its headers: those that the tool's schema marks with `x-mcp-header`.

import PoolAPI

/// The marked properties of one input schema.
struct MirroredArguments: Sendable, Equatable {
    private struct Property: Sendable, Equatable {
        /// Names of properties from the schema's root.
        let path: [String]
        /// Stands after `Mcp-Param-`.
        let header: String
    }

    /// Why a schema's marks break the protocol's rules: its tool is to be left out.
    struct Fault: Error, Equatable {
        let reason: String
    }

    private static let mark = "x-mcp-header"
    private var properties: [Property] = []

    /// - Parameter schema: the text of a JSON object.
    init(schema: String) throws(Fault) {
        // Hardly any schema has the mark, and only those have to be read.
        guard schema.contains(Self.mark) else { return }
        var reader = JSONReader(schema, depthLimit: MCPMessage.depthLimit)
        let value: JSONValue
        do { value = try reader.readValue() } catch { throw Fault(reason: "its schema can't be read") }
        try walk(value, path: [])
        let names = properties.map { $0.header.lowercased() }
        guard Set(names).count == names.count else {
            throw Fault(reason: "two properties have the same \(Self.mark)")
        }
        properties.sort { $0.header < $1.header }
    }

    /// - Parameter path: nil off the chain of plain `properties`, where no mark may stand.
    private mutating func walk(_ schema: JSONValue, path: [String]?) throws(Fault) {
        guard case .object(let members) = schema else { return }
        if let mark = members[Self.mark] { try take(mark, of: members, at: path) }
        for (name, value) in members {
            switch (name, value) {
            case ("properties", .object(let properties)):
                for (name, schema) in properties { try walk(schema, path: path.map { $0 + [name] }) }
            case ("patternProperties", .object(let schemas)), ("dependentSchemas", .object(let schemas)),
                ("$defs", .object(let schemas)), ("definitions", .object(let schemas)):
                for schema in schemas.values { try walk(schema, path: nil) }
            case ("allOf", .array(let schemas)), ("anyOf", .array(let schemas)),
                ("oneOf", .array(let schemas)), ("prefixItems", .array(let schemas)):
                for schema in schemas { try walk(schema, path: nil) }
            case ("items", _), ("contains", _), ("unevaluatedItems", _), ("additionalProperties", _),
                ("propertyNames", _), ("unevaluatedProperties", _), ("not", _), ("if", _), ("then", _),
                ("else", _), ("contentSchema", _):
                try walk(value, path: nil)
            default: break
            }
        }
    }

    private mutating func take(
        _ mark: JSONValue, of schema: [String: JSONValue], at path: [String]?
    ) throws(Fault) {
        guard let path, !path.isEmpty else {
            throw Fault(reason: "\(Self.mark) stands where no plain property is")
        }
        guard case .string(let header) = mark, HeaderText.isToken(header) else {
            throw Fault(reason: "a property's \(Self.mark) is no word of HTTP")
        }
        guard case .string(let type)? = schema["type"], ["string", "integer", "boolean"].contains(type)
        else {
            throw Fault(reason: "a property with \(Self.mark) is not of type string, integer or boolean")
        }
        properties.append(Property(path: path, header: header))
    }

    /// The headers of one call.
    ///
    /// - Parameter arguments: the text of a JSON object.
    func headers(arguments: [UInt8]) -> [(name: String, value: String)] {
        guard !properties.isEmpty else { return [] }
        var reader = JSONReader(arguments)
        // Nothing but a JSON object is ever sent, which was checked before; what is none has nothing to mirror.
        guard let object = try? reader.readValue() else { return [] }
        return properties.compactMap { property in
            var value: JSONValue? = object
            for name in property.path { value = value?[name] }
            let text: String? =
                switch value {
                case .string(let text): text
                case .bool(let bool): bool ? "true" : "false"
                case .integer(let integer): String(integer)
                case .number(let number): Int(exactly: number).map(String.init) ?? number.description
                default: nil
                }
            return text.map { ("Mcp-Param-" + property.header, HeaderText.encoded($0)) }
        }
    }
}

extension JSONReader {
    /// The next value as a tree, for the few that are looked at as a whole. As deep as the reader allows.
    mutating func readValue() throws(JSONError) -> JSONValue {
        switch try peek() {
        case .object:
            var members: [String: JSONValue] = [:]
            try beginObject()
            while let key = try nextKey() { members[key] = try readValue() }
            return .object(members)
        case .array:
            var elements: [JSONValue] = []
            try beginArray()
            while try nextElement() { elements.append(try readValue()) }
            return .array(elements)
        case .string: return .string(try readString())
        case .bool: return .bool(try readBool())
        case .null:
            _ = try readNull()
            return .null
        case .number:
            let number = try readDouble()
            return Int(exactly: number).map { .integer($0) } ?? .number(number)
        }
    }
}
