// Reads YAML into located values, as `kubectl` would read it.
import Yams

/// Turns YAML text into located values, reading plain words as `kubectl` does, and bounds what a text may expand to.
struct YAMLReader {
    /// Bytes of a file, all documents together.
    static let sizeLimit = 8 << 20
    /// Values of a document after its aliases are expanded.
    static let valueLimit = 100_000
    static let depthLimit = 64

    private let file: String?
    private var valuesLeft = YAMLReader.valueLimit

    private init(file: String?) {
        self.file = file
    }

    /// The documents of a text, without the empty ones. Throws the first error of the text's form.
    static func documents(in yaml: String, file: String?) throws(ManifestError) -> [LocatedValue] {
        guard yaml.utf8.count <= sizeLimit else {
            throw ManifestError(file, nil, "is larger than 8 MiB", "split it into several files")
        }
        var nodes: [Node] = []
        do {
            // The basic resolver leaves every word a string; what a plain word means is decided here.
            let parser = try Parser(yaml: yaml, resolver: .basic)
            while let node = try parser.nextRoot() { nodes.append(node) }
        } catch {
            throw ManifestError(problems: [problem(error, in: yaml, file: file)])
        }
        var documents: [LocatedValue] = []
        for node in nodes {
            var reader = YAMLReader(file: file)
            let document = try reader.value(of: node, depth: 0)
            if case .null = document.content { continue }
            documents.append(document)
        }
        return documents
    }

    private mutating func value(of node: Node, depth: Int) throws(ManifestError) -> LocatedValue {
        let line = node.mark?.line
        valuesLeft -= 1
        guard valuesLeft >= 0 else {
            throw ManifestError(
                file, line, "the document has more than \(Self.valueLimit) values", "use fewer aliases")
        }
        guard depth <= Self.depthLimit else {
            throw ManifestError(
                file, line, "the document is nested more than \(Self.depthLimit) deep", "flatten it")
        }
        switch node {
        case .scalar(let scalar):
            return LocatedValue(content: try content(of: scalar, line: line), line: line)
        case .sequence(let sequence):
            var items: [LocatedValue] = []
            for item in sequence { items.append(try value(of: item, depth: depth + 1)) }
            return LocatedValue(content: .array(items), line: line)
        case .mapping(let mapping):
            var members: [LocatedValue.Member] = []
            for (key, item) in mapping {
                guard case .scalar(let name) = key else {
                    throw ManifestError(
                        file, key.mark?.line, "a field's name must be a word",
                        "write the name as plain text")
                }
                members.append(
                    .init(
                        name: name.string, line: name.mark?.line ?? line,
                        value: try value(of: item, depth: depth + 1)))
            }
            return LocatedValue(content: .object(members), line: line)
        case .alias:
            // The parser puts the aliased node in an alias's place.
            throw ManifestError(file, line, "an alias names nothing", "write the value out")
        }
    }

    private func content(of scalar: Node.Scalar, line: Int?) throws(ManifestError) -> LocatedValue.Content {
        let tag = scalar.tag.description
        if tag == "!" || tag == "tag:yaml.org,2002:str" { return .string(scalar.string) }
        guard tag.isEmpty else {
            throw ManifestError(file, line, "the tag \(tag) is not supported", "remove the tag")
        }
        return scalar.style == .plain ? Self.meaning(of: scalar.string) : .string(scalar.string)
    }

    private static func problem(_ error: any Error, in yaml: String, file: String?) -> ManifestError.Problem {
        // Yams' own descriptions quote the line, which in a Secret is the secret.
        let line: Int?
        let message: String
        var mend = "mend the indentation or the quotes near this line"
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            line = mark.line
            message = "is not valid YAML: \(problem)"
        case .reader(let problem, let offset, _, _):
            line = offset.map { offset in
                1 + yaml.utf8.prefix(offset).count { $0 == UInt8(ascii: "\n") }
            }
            message = "is not valid YAML: \(problem)"
        case .duplicatedKeysInMapping(let names, let context):
            line = context.mark.line
            message = "names a field twice: \(names.joined(separator: ", "))"
            mend = "remove one of the two"
        default:
            line = nil
            message = "is not valid YAML"
        }
        return ManifestError.Problem(
            file: file, line: line, path: "", message: String(message.prefix(200)), mend: mend)
    }
}

extension YAMLReader {
    /// What a plain word means to `kubectl` (YAML 1.1 as goyaml.v2 reads it, into JSON).
    static func meaning(of word: String) -> LocatedValue.Content {
        switch word {
        case "", "~", "null", "Null", "NULL": return .null
        case "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON": return .bool(true)
        case "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF": return .bool(false)
        default: break
        }
        guard let first = word.utf8.first, "+-.0123456789".utf8.contains(first) else { return .string(word) }
        let digits = word.replacing("_", with: "")
        if let integer = integer(digits) { return .integer(integer) }
        if digits.wholeMatch(of: /[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?/) != nil,
            let number = Double(digits.hasSuffix(".") ? digits + "0" : digits), number.isFinite
        {
            return .number(number)
        }
        return .string(word)
    }

    private static func integer(_ text: String) -> Int? {
        let unsigned = text.drop { $0 == "-" || $0 == "+" }
        guard text.count - unsigned.count <= 1 else { return nil }
        let sign = text.hasPrefix("-") ? "-" : ""
        for (prefix, radix) in [("0x", 16), ("0X", 16), ("0o", 8), ("0b", 2), ("0B", 2), ("0", 8)]
        where unsigned.hasPrefix(prefix) && unsigned.count > prefix.count {
            let digits = unsigned.dropFirst(prefix.count)
            guard digits.first?.isHexDigit == true else { return nil }
            return Int(sign + digits, radix: radix)
        }
        return Int(sign + unsigned)
    }
}

extension ManifestError {
    /// One problem of the text itself.
    fileprivate init(_ file: String?, _ line: Int?, _ message: String, _ mend: String) {
        self.init(problems: [Problem(file: file, line: line, path: "", message: message, mend: mend)])
    }
}
