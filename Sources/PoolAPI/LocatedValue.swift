/// A value of a document with the line where each part stands, before anything is known of its meaning.

struct LocatedValue: Sendable {
    enum Content: Sendable {
        case null
        case bool(Bool)
        case integer(Int)
        case number(Double)
        case string(String)
        case array([LocatedValue])
        case object([Member])
    }

    struct Member: Sendable {
        let name: String
        /// The line of the name.
        let line: Int?
        let value: LocatedValue
    }

    let content: Content
    /// Nil where the text had no lines.
    let line: Int?
}

extension LocatedValue {
    /// The same value as JSON without places.
    var json: JSONValue {
        switch content {
        case .null: .null
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(value)
        case .number(let value): .number(value)
        case .string(let value): .string(value)
        case .array(let items): .array(items.map(\.json))
        case .object(let members):
            .object(Dictionary(members.map { ($0.name, $0.value.json) }) { _, last in last })
        }
    }

    /// A value that stands on no line.
    init(_ json: JSONValue) {
        line = nil
        switch json {
        case .null: content = .null
        case .bool(let value): content = .bool(value)
        case .integer(let value): content = .integer(value)
        case .number(let value): content = .number(value)
        case .string(let value): content = .string(value)
        case .array(let items): content = .array(items.map { LocatedValue($0) })
        case .object(let members):
            content = .object(
                members.sorted { $0.key < $1.key }.map {
                    Member(name: $0.key, line: nil, value: LocatedValue($0.value))
                })
        }
    }

    /// The text of a member of an object, or nil where there is no such text.
    func text(of name: String) -> String? {
        guard case .object(let members) = content,
            case .string(let text)? = members.first(where: { $0.name == name })?.value.content
        else { return nil }
        return text
    }
}
