/// Collects a response's head from its lines, as libcurl hands them over one at a time: skips interim responses
/// (1xx) and, after the head, trailers; bounds the head's size.
struct ResponseHeadParser {
    struct Head: Equatable {
        let status: Int
        let headers: HTTPHeaders
        /// The response came over HTTP/2, so other streams may share its connection.
        let isMultiplexed: Bool
    }

    enum Action: Equatable {
        case more
        case complete(Head)
        case tooLarge
        case malformed
    }

    let maxBytes: Int
    private var status = 0
    private var isMultiplexed = false
    private var headers = HTTPHeaders()
    private var size = 0
    private var isComplete = false

    init(maxBytes: Int) {
        self.maxBytes = maxBytes
    }

    /// - Parameter line: one line with its end; an empty one ends a head.
    mutating func line(_ line: UnsafeRawBufferPointer) -> Action {
        size += line.count
        guard size <= maxBytes else { return .tooLarge }
        if isComplete { return .more }
        let text = Self.trimmed(line[...])
        if text.isEmpty { return blankLine() }
        if text.starts(with: "HTTP/".utf8) { return statusLine(text) }
        // A line that starts with white space continues the one before (obsolete folding, RFC 9112 section 5.2).
        guard let first = line.first, first != UInt8(ascii: " "), first != UInt8(ascii: "\t") else {
            return .more
        }
        guard let colon = text.firstIndex(of: UInt8(ascii: ":")) else { return .malformed }
        headers.append(
            HTTPHeaders.Field(
                name: String(decoding: Self.trimmed(text[..<colon]), as: UTF8.self),
                value: String(decoding: Self.trimmed(text[(colon + 1)...]), as: UTF8.self)))
        return .more
    }

    private mutating func blankLine() -> Action {
        guard status >= 100 else { return .malformed }
        if status < 200, status != 101 { return .more }
        isComplete = true
        return .complete(Head(status: status, headers: headers, isMultiplexed: isMultiplexed))
    }

    private mutating func statusLine(_ text: Slice<UnsafeRawBufferPointer>) -> Action {
        let words = text.split(separator: UInt8(ascii: " "), maxSplits: 2)
        guard words.count >= 2, words[1].count == 3 else { return .malformed }
        var value = 0
        for byte in words[1] {
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { return .malformed }
            value = value * 10 + Int(digit)
        }
        status = value
        headers = HTTPHeaders()
        isMultiplexed = words[0].starts(with: "HTTP/2".utf8)
        return .more
    }

    private static func trimmed(_ bytes: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
        var bytes = bytes
        while let last = bytes.last, isBlank(last) { bytes.removeLast() }
        while let first = bytes.first, isBlank(first) { bytes.removeFirst() }
        return bytes
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == Byte.lineFeed
            || byte == Byte.carriageReturn
    }
}
