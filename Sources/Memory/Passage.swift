/// Finds the passage of a text that answers a query best: what a memory shows beside its summary.

/// Works on bytes and knows words only by how they begin: it picks among a text's lines, it doesn't decide what is found.
enum Passage {
    /// Bytes of UTF-8.
    static let maximumBytes = 600
    /// Each term has a bit of the masks that say which ones a line holds.
    private static let maximumTerms = 64

    /// Consecutive lines, or a part of one long line, with as many of the terms as fit in `maximumBytes`; the text's
    /// beginning where none occurs.
    static func best(of text: String, terms: [String]) -> String {
        var text = text
        return text.withUTF8 { bytes in
            let lines = Lines(bytes, terms: terms.prefix(maximumTerms).map { Array($0.utf8) })
            guard let range = lines.best() else { return "" }
            return lines.text(range, of: bytes)
        }
    }

    /// A text's lines, each with its place and the terms in it.
    private struct Lines {
        private var places: [Range<Int>] = []
        private var masks: [UInt64] = []

        init(_ bytes: UnsafeBufferPointer<UInt8>, terms: [[UInt8]]) {
            let starts = TermStarts(terms)
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
            guard end - from > Passage.maximumBytes else { return end }
            let limit = from + Passage.maximumBytes
            if let space = bytes[from..<limit].lastIndex(of: 0x20) { return space + 1 }
            return bytes[from..<limit].lastIndex { $0 & 0xC0 != 0x80 }.flatMap { $0 > from ? $0 : nil }
                ?? limit
        }

        func best() -> Range<Int>? {
            guard !places.isEmpty else { return nil }
            var best = (score: 0.0, range: 0..<1)
            for start in places.indices where masks[start] != 0 {
                var (end, length, seen) = (start, 0, UInt64(0))
                while end < places.count, end == start || length + places[end].count < Passage.maximumBytes {
                    length += places[end].count + 1
                    seen |= masks[end]
                    end += 1
                    // Terms that stand close together say more than the same ones far apart.
                    let score =
                        Double(seen.nonzeroBitCount) - Double(length) / Double(Passage.maximumBytes * 4)
                    if score > best.score { best = (score, start..<end) }
                }
            }
            return best.score > 0 ? widened(best.range) : 0..<1
        }

        /// The answer to a question stands after it: what room is left goes to the lines that follow.
        private func widened(_ range: Range<Int>) -> Range<Int> {
            var (end, length) = (range.upperBound, places[range].reduce(0) { $0 + $1.count + 1 })
            while end < places.count, length + places[end].count < Passage.maximumBytes {
                length += places[end].count + 1
                end += 1
            }
            return range.lowerBound..<end
        }

        func text(_ range: Range<Int>, of bytes: UnsafeBufferPointer<UInt8>) -> String {
            places[range].map { place in
                let end = bytes[place].last == 0x20 ? place.upperBound - 1 : place.upperBound
                return String(decoding: bytes[place.lowerBound..<end], as: UTF8.self)
            }.joined(separator: "\n")
        }
    }

    /// Recognises terms at the beginnings of words, by their first byte.
    private struct TermStarts {
        private var byFirst: [[(bit: UInt64, term: [UInt8])]] = Array(repeating: [], count: 256)

        init(_ terms: [[UInt8]]) {
            for (index, term) in terms.enumerated() {
                if let first = term.first { byFirst[Int(first)].append((1 << UInt64(index), term)) }
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
                    for (bit, term) in byFirst[Int(Self.lowered(byte))]
                    where mask & bit == 0 && Self.matches(term, bytes, index, range.upperBound) {
                        mask |= bit
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
}
