// Writes JSON values as YAML that `kubectl` and people read.
import Yams

extension JSONValue {
    /// The value as a YAML document without a separator, the same text every time: in an object apiVersion, kind, metadata and name come
    /// first, what else it has in the order of the alphabet.
    /// - Throws: Where the YAML library refuses a value, which no value of a manifest makes it do.
    public func yaml() throws -> String { try serialize(node: yamlNode, width: -1) }

    /// The value in the YAML library's own form; strings are quoted where a plain word would mean something else.
    var yamlNode: Node {
        switch self {
        case .null: Node("null", Tag(.null))
        case .bool(let value): Node(String(value), Tag(.bool))
        case .integer(let value): Node(String(value), Tag(.int))
        case .number(let value):
            Int(exactly: value).map { Node(String($0), Tag(.int)) } ?? Node("\(value)", Tag(.float))
        case .string(let value): .scalar(Self.scalar(value))
        case .array(let items): Node(items.map(\.yamlNode))
        case .object(let members):
            Node(
                members.sorted { (Self.rank($0.key), $0.key) < (Self.rank($1.key), $1.key) }.map {
                    (.scalar(Self.scalar($0.key)), $0.value.yamlNode)
                })
        }
    }

    private static func rank(_ name: String) -> Int {
        ["apiVersion", "kind", "metadata", "name"].firstIndex(of: name) ?? .max
    }

    private static func scalar(_ text: String) -> Node.Scalar {
        var scalar = text.represented()
        // The library doesn't know all words that are something else than text to `kubectl`, such as y.
        if case .string = YAMLReader.meaning(of: text) { return scalar }
        scalar.style = .singleQuoted
        return scalar
    }
}
