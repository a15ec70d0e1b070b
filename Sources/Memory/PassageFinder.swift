/// Finds the passage of a text that answers a query best: what a memory shows beside its summary.

/// Works on bytes and knows words only by how they begin: it picks among a text's lines, it doesn't decide what is found.
/// One is made for a query and asked about text after text, in the same memory.
struct PassageFinder {
    /// Bytes of UTF-8.
    static let maximumBytes = 600

    private let starts: TermStarts
    /// The text's lines, or parts of long ones, and of each one the terms in it.
    private var places: [Range<Int>] = []
    private var masks: [UInt64] = []

    init(terms: [String]) {
        starts = TermStarts(terms)
    }

    /// Consecutive lines, or a part of one long line, with as many of the terms as fit in `maximumBytes`; the text's
    /// beginning where none occurs.
    mutating func best(of text: String) -> String {
        var text = text
        return text.withUTF8 { bytes in
            readLines(bytes)
            guard let range = bestRange() else { return "" }
            return joined(range, of: bytes)
        }
    }

    private mutating func readLines(_ bytes: UnsafeBufferPointer<UInt8>) {
        places.removeAll(keepingCapacity: true)
        masks.removeAll(keepingCapacity: true)
        var start = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex { $0 == 0x0A || $0 == 0x0D } ?? bytes.count
            var from = start
            while from < end {
                let to = Self.cut(bytes, from, end)
                places.append(from..<to)
                masks.append(starts.mask(of: bytes, in: from..<to))
                from = to
            }
            start = end + 1
        }
    }

    /// Where a piece that begins at `from` ends: at a space, or at least between two characters, where the line is too long.
    private static func cut(_ bytes: UnsafeBufferPointer<UInt8>, _ from: Int, _ end: Int) -> Int {
        guard end - from > maximumBytes else { return end }
        let limit = from + maximumBytes
        if let space = bytes[from..<limit].lastIndex(of: 0x20) { return space + 1 }
        return bytes[from..<limit].lastIndex { $0 & 0xC0 != 0x80 }.flatMap { $0 > from ? $0 : nil } ?? limit
    }

    private func bestRange() -> Range<Int>? {
        guard !places.isEmpty else { return nil }
        var best = (score: 0.0, range: 0..<1)
        for start in places.indices where masks[start] != 0 {
            var (end, length, seen) = (start, 0, UInt64(0))
            while end < places.count, end == start || length + places[end].count < Self.maximumBytes {
                length += places[end].count + 1
                seen |= masks[end]
                end += 1
                // Terms that stand close together say more than the same ones far apart.
                let score = Double(seen.nonzeroBitCount) - Double(length) / Double(Self.maximumBytes * 4)
                if score > best.score { best = (score, start..<end) }
            }
        }
        return best.score > 0 ? widened(best.range) : 0..<1
    }

    /// The answer to a question stands after it: what room is left goes to the lines that follow.
    private func widened(_ range: Range<Int>) -> Range<Int> {
        var (end, length) = (range.upperBound, places[range].reduce(0) { $0 + $1.count + 1 })
        while end < places.count, length + places[end].count < Self.maximumBytes {
            length += places[end].count + 1
            end += 1
        }
        return range.lowerBound..<end
    }

    private func joined(_ range: Range<Int>, of bytes: UnsafeBufferPointer<UInt8>) -> String {
        let capacity = places[range].reduce(0) { $0 + $1.count + 1 }
        var text: [UInt8] = []
        text.reserveCapacity(capacity)
        for place in places[range] {
            if !text.isEmpty { text.append(0x0A) }
            text.append(contentsOf: bytes[place])
            if text.last == 0x20 { text.removeLast() }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// Recognises terms at the beginnings of words, by their first byte.
private struct TermStarts {
    private let terms: [[UInt8]]
    /// Of each byte the terms that begin with it, a bit each.
    private var byFirst = [UInt64](repeating: 0, count: 256)

    init(_ terms: [String]) {
        self.terms = terms.prefix(UInt64.bitWidth).map { Array($0.utf8) }
        for (index, term) in self.terms.enumerated() {
            if let first = term.first { byFirst[Int(first)] |= 1 << UInt64(index) }
        }
    }

    func mask(of bytes: UnsafeBufferPointer<UInt8>, in range: Range<Int>) -> UInt64 {
        var mask: UInt64 = 0
        var isInWord = false
        for index in range {
            let byte = bytes[index]
            let isWord = Self.isWordByte(byte)
            // Scripts without spaces: any character may begin a term.
            if isWord, !isInWord || byte >= 0xC0 {
                var candidates = byFirst[Int(Self.lowered(byte))] & ~mask
                while candidates != 0 {
                    let term = candidates.trailingZeroBitCount
                    candidates &= candidates - 1
                    if Self.matches(terms[term], bytes, index, range.upperBound) { mask |= 1 << UInt64(term) }
                }
            }
            isInWord = isWord
        }
        return mask
    }

    private static func matches(
        _ term: [UInt8], _ bytes: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int
    ) -> Bool {
        guard start + term.count <= end else { return false }
        for offset in term.indices where lowered(bytes[start + offset]) != term[offset] { return false }
        return true
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x80...: true
        default: false
        }
    }

    private static func lowered(_ byte: UInt8) -> UInt8 {
        (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
    }
}
