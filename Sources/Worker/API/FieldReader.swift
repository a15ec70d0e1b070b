/// Reads a request's JSON body and knows the path of what it reads, so that an error names the field and what it must be.
import Agent

/// Used like `JSONReader`: after `nextField` or `nextElement` exactly one value is read or skipped.
struct FieldReader {
    private enum Step {
        case field(String)
        case element(Int)
    }

    private var json: JSONReader
    private var steps: [Step] = []

    init(_ bytes: [UInt8]) {
        json = JSONReader(bytes, depthLimit: 32, repairsSurrogates: true)
    }

    /// Where the value that was last begun or read stands (`messages[2].content`); empty for the body itself.
    var path: String {
        var text = ""
        for step in steps {
            switch step {
            case .field(let name): text += text.isEmpty ? name : "." + name
            case .element(let index): text += "[\(index)]"
            }
        }
        return text
    }

    // MARK: Containers

    mutating func beginObject() throws(APIError) {
        try require(.object, "an object")
        do { try json.beginObject() } catch { throw syntax(error) }
        steps.append(.field(""))
    }

    /// `nil` at the object's end.
    mutating func nextField() throws(APIError) -> String? {
        do {
            guard let key = try json.nextKey() else {
                steps.removeLast()
                return nil
            }
            steps[steps.count - 1] = .field(key)
            return key
        } catch { throw syntax(error) }
    }

    mutating func beginArray() throws(APIError) {
        try require(.array, "an array")
        do { try json.beginArray() } catch { throw syntax(error) }
        steps.append(.element(-1))
    }

    /// False at the array's end.
    mutating func nextElement(atMost limit: Int) throws(APIError) -> Bool {
        do {
            guard try json.nextElement() else {
                steps.removeLast()
                return false
            }
        } catch { throw syntax(error) }
        guard case .element(let index) = steps.removeLast() else { return false }
        guard index + 1 < limit else {
            throw .invalid(path, "`\(path)` may hold \(limit) elements.")
        }
        steps.append(.element(index + 1))
        return true
    }

    /// One member of an object whose others don't matter; `nil` where the object is null or lacks it.
    mutating func member<Value>(
        _ name: String, _ read: (inout FieldReader) throws(APIError) -> Value?
    ) throws(APIError) -> Value? {
        if try null() { return nil }
        var value: Value?
        try beginObject()
        while let field = try nextField() {
            if field == name { value = try read(&self) } else { try skip() }
        }
        return value
    }

    mutating func skip() throws(APIError) {
        do { try json.skipValue() } catch { throw syntax(error) }
    }

    /// Nothing but white space may follow.
    mutating func end() throws(APIError) {
        do { try json.finish() } catch { throw syntax(error) }
    }

    // MARK: Values. Each `nil` for null.

    mutating func null() throws(APIError) -> Bool {
        do { return try json.readNull() } catch { throw syntax(error) }
    }

    mutating func string() throws(APIError) -> String? {
        if try null() { return nil }
        try require(.string, "a string")
        do { return try json.readString() } catch { throw syntax(error) }
    }

    /// An object's text, checked and on one line; for what is passed on unread.
    mutating func objectText() throws(APIError) -> String {
        try require(.object, "an object")
        do { return String(decoding: try json.readCompact(), as: UTF8.self) } catch { throw syntax(error) }
    }

    mutating func bool() throws(APIError) -> Bool? {
        if try null() { return nil }
        try require(.bool, "true or false")
        do { return try json.readBool() } catch { throw syntax(error) }
    }

    mutating func number(in range: ClosedRange<Double>) throws(APIError) -> Double? {
        if try null() { return nil }
        let expected = "a number from \(range.lowerBound) to \(range.upperBound)"
        try require(.number, expected)
        let value: Double
        do { value = try json.readDouble() } catch { throw syntax(error) }
        guard range.contains(value) else { throw mismatch(expected) }
        return value
    }

    mutating func integer(in range: ClosedRange<Int>) throws(APIError) -> Int? {
        let wide = Double(range.lowerBound)...Double(range.upperBound)
        guard let value = try number(in: wide) else { return nil }
        guard let whole = Int(exactly: value) else { throw mismatch("a whole number") }
        return whole
    }

    /// A string, or an array of strings.
    mutating func strings(atMost limit: Int) throws(APIError) -> [String]? {
        if try null() { return nil }
        guard try kind() == .array else { return try string().map { [$0] } }
        var values: [String] = []
        try beginArray()
        while try nextElement(atMost: limit) {
            if let value = try string() { values.append(value) }
        }
        return values
    }

    /// A message's content: a string, or an array of text parts, which are joined.
    ///
    /// - Parameter types: what a part may be called.
    mutating func text(types: [String] = ["text"]) throws(APIError) -> String? {
        if try null() { return nil }
        guard try kind() == .array else {
            guard try kind() == .string else { throw mismatch("a string or an array of text parts") }
            return try string()
        }
        var parts: [String] = []
        try beginArray()
        while try nextElement(atMost: 256) {
            var type: String?
            var text: String?
            let part = path
            try beginObject()
            while let field = try nextField() {
                switch field {
                case "type": type = try string()
                case "text": text = try string()
                default: try skip()
                }
            }
            guard let text, types.contains(type ?? "") else {
                let names = types.map { "`\($0)`" }.joined(separator: " or ")
                throw .unsupported(
                    part, "Only parts of type \(names) are supported; `\(part)` is `\(type ?? "?")`.")
            }
            parts.append(text)
        }
        return parts.joined(separator: "\n")
    }

    mutating func kind() throws(APIError) -> JSONReader.Kind {
        do { return try json.peek() } catch { throw syntax(error) }
    }

    // MARK: Errors

    private mutating func require(_ expected: JSONReader.Kind, _ description: String) throws(APIError) {
        if try kind() != expected { throw mismatch(description) }
    }

    private func mismatch(_ expected: String) -> APIError {
        let path = path
        return path.isEmpty
            ? .invalid(nil, "The body must be \(expected).")
            : .invalid(path, "`\(path)` must be \(expected).")
    }

    private func syntax(_ error: JSONError) -> APIError {
        APIError(.badRequest, code: "invalid_json", "The body is not valid JSON: \(error).")
    }
}
