/// Redacts JSON texts so that they stay JSON: inside their strings, and numbers that match as strings.

extension Redaction {
    /// The text of a JSON value with every key and value of it redacted; where it isn't JSON, as any other text. One in which nothing
    /// is found stays as it is, byte for byte.
    public func redacted(json text: String) -> String {
        guard !isIdle else { return text }
        guard let bytes = redacted(json: Array(text.utf8), members: nil) else { return redacted(text) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// What a tool answers: a JSON object or array as JSON, for escapes hide what is looked for, and who reads it expects JSON; all else,
    /// a bare number or string too, as any other text.
    func redacted(answer text: String) -> String {
        let first = text.utf8.first { !" \n\r\t".utf8.contains($0) }
        let mayBeJSON = first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
        return mayBeJSON ? redacted(json: text) : redacted(text)
    }

    /// The same of bytes, of which only some members' values are redacted.
    ///
    /// - Parameter members: the keys whose values are redacted, with all that is in these; nil for all.
    /// - Returns: nil where it isn't JSON.
    public func redacted(json bytes: [UInt8], members: Set<String>?) -> [UInt8]? {
        guard !isIdle else { return bytes }
        var reader = JSONReader(bytes, repairsSurrogates: true)
        var rewriting = Rewriting(redaction: self, members: members, json: JSONWriter(capacity: bytes.count))
        do {
            try rewriting.value(&reader, isNamed: members == nil)
            try reader.finish()
        } catch {
            return nil
        }
        return rewriting.hasChanged ? rewriting.json.bytes : bytes
    }

    private struct Rewriting {
        let redaction: Redaction
        let members: Set<String>?
        var json: JSONWriter
        var hasChanged = false

        mutating func value(_ reader: inout JSONReader, isNamed: Bool) throws(JSONError) {
            switch try reader.peek() {
            case .string:
                let text = try reader.readString()
                json.string(isNamed ? redacted(text) : text)
            case .object:
                try reader.beginObject()
                json.beginObject()
                while let key = try reader.nextKey() {
                    // A key that others have chosen may be what is looked for too.
                    json.key(escaping: isNamed ? redacted(key) : key)
                    try value(&reader, isNamed: isNamed || members?.contains(key) == true)
                }
                json.endObject()
            case .array:
                try reader.beginArray()
                json.beginArray()
                while try reader.nextElement() { try value(&reader, isNamed: isNamed) }
                json.endArray()
            default:
                let raw = Array(try reader.readRaw())
                let text = String(decoding: raw, as: UTF8.self)
                let shown = isNamed ? redacted(text) : text
                if shown == text { json.raw(raw) } else { json.string(shown) }
            }
        }

        private mutating func redacted(_ text: String) -> String {
            let shown = redaction.redacted(text)
            if shown != text { hasChanged = true }
            return shown
        }
    }
}
