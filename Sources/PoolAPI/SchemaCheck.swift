/// Checks a located value against a schema, fills in the schema's defaults, and collects every problem with its field and line.
///
/// The value that comes back has the schema's form also where the text is wrong: a mistaken field counts as absent, and a stand-in
/// takes its place where it is required, so that the rules between fields can still look at the rest.
struct SchemaCheck {
    let file: String?
    private(set) var problems: [ManifestError.Problem] = []
    /// The fields that the text gives, each with its line where the text has lines.
    private(set) var given: [String: Int?] = [:]

    init(file: String?) {
        self.file = file
    }

    /// Checks a whole document.
    mutating func check(_ document: LocatedValue, _ schema: Schema) -> JSONValue {
        check(document, schema, at: "", line: document.line) ?? schema.standIn
    }

    /// Checks the value that stands at `path`; `line` is that of its name. Nil where it is of another form.
    private mutating func check(
        _ value: LocatedValue, _ schema: Schema, at path: String, line: Int?
    ) -> JSONValue? {
        given[path] = .some(line)
        switch schema.kind {
        case .text(let length, let pattern):
            guard case .string(let text) = value.content else {
                return mistyped(value, schema, path, line)
            }
            checkText(text, length, pattern, path, line)
            return .string(text)
        case .choice(let choices):
            guard case .string(let text) = value.content else {
                return mistyped(value, schema, path, line)
            }
            if choices.contains(text) { return .string(text) }
            let nearest = NearestName.of(text, among: choices)
            report(
                path, line, "\"\(text.excerpt)\" is not one of \(choices.joined(separator: ", "))",
                nearest.map { "did you mean \($0)?" } ?? "write \(schema.typeName)")
            return nil
        case .integer(let range):
            guard let number = value.content.integer else { return mistyped(value, schema, path, line) }
            if !range.contains(number) {
                outside(String(number), "\(range.lowerBound)", "\(range.upperBound)", path, line)
            }
            return .integer(number)
        case .number(let range):
            guard let number = value.content.number else { return mistyped(value, schema, path, line) }
            if !range.contains(number) {
                outside("\(number)", "\(range.lowerBound)", "\(range.upperBound)", path, line)
            }
            return .number(number)
        case .duration, .bytes, .cpu:
            return checkAmount(value, schema, path, line)
        case .object(let fields):
            guard case .object(let members) = value.content else {
                return mistyped(value, schema, path, line)
            }
            return checkObject(members, fields, path, line)
        case .texts(let length):
            guard case .object(let members) = value.content else {
                return mistyped(value, schema, path, line)
            }
            var texts: [String: JSONValue] = [:]
            for member in members {
                texts[member.name] = check(
                    member.value, .text(0...length), at: Self.path(path, member.name), line: member.line)
            }
            return .object(texts)
        case .list(let item, let count, let identity):
            guard case .array(let items) = value.content else {
                return mistyped(value, schema, path, line)
            }
            return checkList(items, item, count, identity, path, line)
        case .anyObject:
            guard case .object = value.content else { return mistyped(value, schema, path, line) }
            return value.json
        case .ignored:
            return nil
        }
    }

    private mutating func checkObject(
        _ members: [LocatedValue.Member], _ fields: [Schema.Field], _ path: String, _ line: Int?
    ) -> JSONValue {
        var object: [String: JSONValue] = [:]
        var misspelled: Set<String> = []
        for member in members {
            let memberPath = Self.path(path, member.name)
            guard let field = fields.first(where: { $0.name == member.name }) else {
                if let meant = reportUnknown(member, among: fields, path, memberPath) {
                    misspelled.insert(meant)
                }
                continue
            }
            // As on the API server, null means that the field is absent.
            if case .null = member.value.content { continue }
            object[field.name] = check(member.value, field.schema, at: memberPath, line: member.line)
        }
        for field in fields where object[field.name] == nil {
            switch field.presence {
            case .required:
                let fieldPath = Self.path(path, field.name)
                if given[fieldPath] == nil, !misspelled.contains(field.name) {
                    report(fieldPath, line, "is required", "add it")
                }
                object[field.name] = field.schema.standIn
            case .defaults(let value):
                object[field.name] = field.schema.completed(value)
            case .optional, .derived:
                break
            }
        }
        return .object(object)
    }

    private mutating func checkList(
        _ items: [LocatedValue], _ item: Schema, _ count: ClosedRange<Int>, _ identity: Schema.Identity,
        _ path: String, _ line: Int?
    ) -> JSONValue {
        if items.count < count.lowerBound {
            report(path, line, "is empty", "give it an entry")
        } else if items.count > count.upperBound {
            report(
                path, line, "has \(items.count) entries, more than the \(count.upperBound) that are allowed",
                "remove some")
        }
        var seen: [String: Int] = [:]
        var values: [JSONValue] = []
        for (index, value) in items.enumerated() {
            let itemPath = "\(path)[\(index)]"
            // The place in the list is part of the path of what follows, so a mistaken entry keeps it.
            let checked = check(value, item, at: itemPath, line: value.line) ?? item.standIn
            values.append(checked)
            let (key, keyPath): (JSONValue?, String) =
                switch identity {
                case .none: (nil, itemPath)
                case .value: (checked, itemPath)
                case .field(let name): (checked[name], Self.path(itemPath, name))
                }
            guard case .string(let text)? = key, !text.isEmpty else { continue }
            if let first = seen[text] {
                report(
                    keyPath, self.line(of: keyPath), "\"\(text.excerpt)\" is already at \(path)[\(first)]",
                    "give each entry its own")
            } else {
                seen[text] = index
            }
        }
        return .array(values)
    }

    private mutating func checkText(
        _ text: String, _ length: ClosedRange<Int>, _ pattern: Schema.Pattern?, _ path: String, _ line: Int?
    ) {
        let count = text.unicodeScalars.count
        if count < length.lowerBound {
            report(path, line, "is empty", "write a value")
        } else if count > length.upperBound {
            report(path, line, "has \(count) characters", "shorten it to \(length.upperBound) at most")
        } else if let pattern, !pattern.matches(text) {
            let subject = pattern.mayBeShown ? "\"\(text.excerpt)\" " : ""
            report(path, line, "\(subject)is not \(pattern.meaning)", "write it in that form")
        }
    }

    /// Durations, bytes and CPU: text of a pattern with a value between bounds.
    private mutating func checkAmount(
        _ value: LocatedValue, _ schema: Schema, _ path: String, _ line: Int?
    ) -> JSONValue? {
        let text: String
        switch (value.content, schema.kind) {
        case (.string(let string), _): text = string
        case (.integer(let number), .bytes), (.integer(let number), .cpu): text = String(number)
        default: return mistyped(value, schema, path, line)
        }
        switch schema.kind {
        case .duration(let range):
            guard let duration = DurationText(text)?.duration else { break }
            if !range.contains(duration) {
                outside(text, range.lowerBound.text, range.upperBound.text, path, line)
            }
            return .string(text)
        case .bytes(let range):
            guard let bytes = ByteQuantity(text)?.bytes else { break }
            if !range.contains(bytes) {
                outside(
                    text, ByteQuantity.text(of: range.lowerBound), ByteQuantity.text(of: range.upperBound),
                    path, line)
            }
            return .string(text)
        default:
            if Schema.Pattern.cpu.matches(text) { return .string(text) }
        }
        let meaning = schema.amountPattern?.meaning ?? "an amount"
        report(path, line, "\"\(text.excerpt)\" is not \(meaning)", "write it in that form")
        return nil
    }
}

extension SchemaCheck {
    /// The line of a field, or of what encloses it where the text does not give the field.
    func line(of path: String) -> Int? {
        var path = path[...]
        while true {
            if let line = given[String(path)] { return line }
            guard let end = path.lastIndex(where: { $0 == "." || $0 == "[" }) else { return nil }
            path = path[..<end]
        }
    }

    mutating func report(_ path: String, _ line: Int?, _ message: String, _ mend: String) {
        problems.append(.init(file: file, line: line, path: path, message: message, mend: mend))
    }

    private mutating func outside(
        _ value: String, _ low: String, _ high: String, _ path: String, _ line: Int?
    ) {
        report(path, line, "\(value) is out of bounds", "choose from \(low) to \(high)")
    }

    private mutating func mistyped(
        _ value: LocatedValue, _ schema: Schema, _ path: String, _ line: Int?
    ) -> JSONValue? {
        let mend =
            switch (schema.kind, value.content) {
            case (.text, .bool), (.text, .integer), (.text, .number): "put it in quotes"
            default: "write \(schema.typeName)"
            }
        report(path, line, "expected \(schema.typeName), found \(value.content.typeName)", mend)
        return nil
    }

    /// Gives the name of the field that was most likely meant.
    private mutating func reportUnknown(
        _ member: LocatedValue.Member, among fields: [Schema.Field], _ path: String, _ memberPath: String
    ) -> String? {
        let names = fields.filter { if case .ignored = $0.schema.kind { false } else { true } }.map(\.name)
        let nearest = NearestName.of(member.name, among: names)
        report(
            memberPath, member.line, "is not a field of \(path.isEmpty ? "this document" : path)",
            nearest.map { "did you mean \($0)?" }
                ?? "remove it, or use one of \(names.joined(separator: ", "))")
        return nearest
    }

    /// A path that a person can follow, whatever the name holds.
    static func path(_ parent: String, _ name: String) -> String {
        guard name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && !".[]\"".utf8.contains($0) }), !name.isEmpty,
            name.count <= 63
        else { return "\(parent)[\"\(name.excerpt)\"]" }
        return parent.isEmpty ? name : "\(parent).\(name)"
    }
}

extension String {
    /// At most 40 characters on one line.
    fileprivate var excerpt: String {
        let line = prefix(40).unicodeScalars.map {
            $0.properties.generalCategory == .control ? " " : String($0)
        }
        return line.joined() + (count > 40 ? "…" : "")
    }
}

extension LocatedValue.Content {
    fileprivate var typeName: String {
        switch self {
        case .null: "nothing"
        case .bool: "a boolean"
        case .integer, .number: "a number"
        case .string: "text"
        case .array: "a list"
        case .object: "an object"
        }
    }

    fileprivate var integer: Int? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int(exactly: value)
        default: nil
        }
    }

    fileprivate var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
}
