/// Owns the texts that nobody may see, and takes them out of what servers say.

/// The header values of a server's Secret, in the forms in which a server may quote them.
struct HiddenValues: Sendable {
    static let none = HiddenValues(headers: [])

    /// Shorter ones are no secrets, and would tear holes into every text.
    private static let shortest = 4
    /// A word of a value, such as the token after `Bearer`, has to be longer to be taken for a secret by itself.
    private static let shortestWord = 6
    private static let mark = Array("[redacted]".utf8)

    /// Longest first, so that a value is taken out before its parts are.
    private let values: [[UInt8]]
    /// Which bytes begin one of them.
    private let beginnings: Set<UInt8>
    private let redact: @Sendable (String) -> String

    /// - Parameter redact: cuts more out of each ``line(_:limit:)``, such as what `spec.guard.redact` names.
    init(
        headers: [(name: String, value: String)], redact: @escaping @Sendable (String) -> String = { $0 }
    ) {
        var values: Set<[UInt8]> = []
        for (_, value) in headers {
            // A process says a value of many lines, such as a key's file, line by line.
            let lines = value.split(whereSeparator: \.isNewline).map { HeaderText.trimmed(String($0)) }
            let words = lines.flatMap { line in
                line.split { $0 == " " || $0 == "\t" || $0 == "," || $0 == ";" }.map(String.init)
            }
            let found =
                (value.utf8.count >= Self.shortest ? [value] : [])
                + (lines + words).filter { $0.utf8.count >= Self.shortestWord && !Self.isScheme($0) }
            for text in found {
                values.insert(Array(text.utf8))
                // As it stands inside a JSON text.
                var writer = JSONWriter()
                writer.string(text)
                values.insert(Array(writer.bytes.dropFirst().dropLast()))
            }
        }
        self.values = values.sorted {
            $0.count == $1.count ? $0.lexicographicallyPrecedes($1) : $0.count > $1.count
        }
        beginnings = Set(values.compactMap(\.first))
        self.redact = redact
    }

    private static func isScheme(_ word: String) -> Bool {
        ["bearer", "basic", "digest", "apikey", "negotiate"].contains(word.lowercased())
    }

    /// How many bytes the longest value has, in the longest of its forms.
    var longest: Int { values.first?.count ?? 0 }

    /// The text without the values.
    ///
    /// Compares bytes, not characters: a combining mark that follows a value would make another character of its end.
    func removed(from text: String) -> String {
        guard !values.isEmpty else { return text }
        let bytes = Array(text.utf8)
        return String(decoding: removed(from: bytes, upTo: bytes.count), as: UTF8.self)
    }

    /// - Parameter end: what stands there and further on is left out. A value that begins before it is seen whole.
    private func removed(from bytes: [UInt8], upTo end: Int) -> [UInt8] {
        var kept: [UInt8] = []
        var copied = 0
        var position = 0
        while position < end {
            if beginnings.contains(bytes[position]),
                let value = values.first(where: { bytes[position...].starts(with: $0) })
            {
                kept.append(contentsOf: bytes[copied..<position])
                kept.append(contentsOf: Self.mark)
                position += value.count
                copied = position
            } else {
                position += 1
            }
        }
        if copied < end { kept.append(contentsOf: bytes[copied..<end]) }
        return kept
    }

    /// One line of at most `limit` bytes without the values; nil where nothing is left.
    func line(_ text: String, limit: Int = 500) -> String? {
        line(Array(text.utf8), isWhole: true, limit: limit)
    }

    /// The same of bytes as they came.
    ///
    /// - Parameter isWhole: nothing followed them. Else a value may have begun in the last ones, and those are left out.
    func line(_ bytes: [UInt8], isWhole: Bool, limit: Int) -> String? {
        let end = isWhole ? bytes.count : max(0, bytes.count - longest)
        // Before it is cut, or half a value could stay.
        let text = redact(String(decoding: removed(from: bytes, upTo: end), as: UTF8.self))
        let line = text.split {
            $0.isNewline || $0.unicodeScalars.allSatisfy { $0.value < 0x20 }
        }.joined(separator: " ")
        let (cut, isUncut) = line.cut(to: limit)
        return cut.isEmpty ? nil : isUncut && isWhole ? cut : cut + "..."
    }
}

extension String {
    /// At most `limit` bytes of UTF-8, cut between scalars.
    func cut(to limit: Int) -> (text: String, isWhole: Bool) {
        guard utf8.count > limit else { return (self, true) }
        var end = utf8.index(startIndex, offsetBy: max(0, limit))
        while end.samePosition(in: unicodeScalars) == nil { end = utf8.index(before: end) }
        return (String(self[..<end]), false)
    }
}
