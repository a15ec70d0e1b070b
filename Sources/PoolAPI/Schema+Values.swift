/// What a schema knows of values: its defaults laid out in full, a stand-in for a mistaken value, and the type in words.

extension Schema {
    /// A default of this schema with the defaults of its own fields filled in.
    func completed(_ value: JSONValue) -> JSONValue {
        guard case .object(let fields) = kind, case .object(var members) = value else { return value }
        for field in fields where members[field.name] == nil {
            if case .defaults(let value) = field.presence {
                members[field.name] = field.schema.completed(value)
            }
        }
        return .object(members)
    }

    /// A value of the schema's type that takes a mistaken one's place; the problem is reported already.
    var standIn: JSONValue {
        switch kind {
        case .text: return ""
        case .choice(let choices): return .string(choices.first ?? "")
        case .integer(let range): return .integer(range.lowerBound)
        case .number(let range): return .number(range.lowerBound)
        case .duration(let range): return .string(range.lowerBound.text)
        case .bytes(let range): return .string(ByteQuantity.text(of: range.lowerBound))
        case .cpu: return "1"
        case .list: return []
        case .texts, .anyObject: return [:]
        case .ignored: return .null
        case .object(let fields):
            var members: [String: JSONValue] = [:]
            for field in fields {
                if case .required = field.presence { members[field.name] = field.schema.standIn }
            }
            return completed(.object(members))
        }
    }

    /// The form of an amount; nil for every other kind.
    var amountPattern: Pattern? {
        switch kind {
        case .duration: .duration
        case .bytes: .bytes
        case .cpu: .cpu
        default: nil
        }
    }

    var typeName: String {
        switch kind {
        case .text: "text"
        case .choice(let choices):
            choices.count == 1 ? choices[0] : "one of \(choices.joined(separator: ", "))"
        case .integer: "a whole number"
        case .number: "a number"
        case .duration: "a duration such as 15m"
        case .bytes: "a number of bytes such as 512Mi"
        case .cpu: "an amount of CPU such as 700m"
        case .object, .texts, .anyObject: "an object"
        case .list: "a list"
        case .ignored: "anything"
        }
    }
}

extension Duration {
    /// The shortest text of a manifest for a whole number of milliseconds.
    var text: String {
        let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
        for (unit, scale) in [("h", Int64(3_600_000)), ("m", 60_000), ("s", 1000)]
        where milliseconds % scale == 0 {
            return milliseconds == 0 ? "0s" : "\(milliseconds / scale)\(unit)"
        }
        return "\(milliseconds)ms"
    }
}

extension ByteQuantity {
    /// The shortest text of a manifest for a number of bytes.
    static func text(of bytes: Int) -> String {
        for (unit, shift) in [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)]
        where bytes > 0 && bytes % (1 << shift) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)"
    }
}
