/// The fields of the event that a stream is in the middle of, and how a line becomes a field.
extension ServerSentEventParser {
    /// What the lines since the last blank line said.
    struct Block: Sendable {
        var event: String?
        var id: String?
        var retry: Int?
        private(set) var hasData = false
        /// The data where it is one line of the chunk being fed: a range of that chunk.
        private(set) var freshData: Range<Int>?
        /// The data in every other case.
        private(set) var keptData: [UInt8] = []

        var dataCount: Int { freshData?.count ?? keptData.count }

        mutating func addData(_ value: Range<Int>, of bytes: Span<UInt8>) {
            if hasData {
                keepData(of: bytes)
                keptData.append(Byte.lineFeed)
                keptData.append(copying: bytes.extracting(value))
            } else {
                hasData = true
                freshData = value
            }
        }

        /// Copies data that still lies in `bytes`, which are about to go away.
        mutating func keepData(of bytes: Span<UInt8>) {
            guard let fresh = freshData else { return }
            keptData.append(copying: bytes.extracting(fresh))
            freshData = nil
        }

        mutating func reset() {
            event = nil
            id = nil
            retry = nil
            hasData = false
            freshData = nil
            // One large event shouldn't hold its memory for the rest of a long stream.
            if !keptData.isEmpty { keptData.removeAll(keepingCapacity: keptData.capacity <= 1 << 16) }
        }
    }

    /// A line that means something: one of the four known names, and where its value lies.
    struct Field {
        enum Name { case data, event, id, retry }

        let name: Name
        let value: Range<Int>

        /// Nil for a comment and for a field with another name.
        init?(line bytes: Span<UInt8>, _ range: Range<Int>) {
            let known: (name: Name, text: StaticString)
            switch bytes[range.lowerBound] {
            case UInt8(ascii: "d"): known = (.data, "data")
            case UInt8(ascii: "e"): known = (.event, "event")
            case UInt8(ascii: "i"): known = (.id, "id")
            case UInt8(ascii: "r"): known = (.retry, "retry")
            default: return nil
            }
            guard bytes.starts(with: known.text, in: range) else { return nil }
            var value = range.dropFirst(known.text.utf8CodeUnitCount)
            if !value.isEmpty {
                guard bytes[value.lowerBound] == UInt8(ascii: ":") else { return nil }
                value = value.dropFirst(1)
                if !value.isEmpty, bytes[value.lowerBound] == UInt8(ascii: " ") { value = value.dropFirst(1) }
            }
            self.name = known.name
            self.value = value
        }
    }

    /// Finds line ends; looks at each byte of a chunk twice at most, once for each kind of end.
    struct LineEndScanner {
        private var lineFeed = -1
        private var carriageReturn = -1

        mutating func next(in bytes: Span<UInt8>, from position: Int) -> Int? {
            if lineFeed < position { lineFeed = bytes.first(Byte.lineFeed, from: position) ?? .max }
            if carriageReturn < position {
                carriageReturn = bytes.first(Byte.carriageReturn, from: position) ?? .max
            }
            let end = min(lineFeed, carriageReturn)
            return end == .max ? nil : end
        }
    }
}
