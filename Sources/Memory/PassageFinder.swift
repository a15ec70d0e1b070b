/// Finds the passage of a text that answers a query best: what a memory shows beside its summary.
import Glibc

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
        var rest = 0..<bytes.count
        while let line = Self.nextLine(of: bytes, in: &rest) {
            var from = line.lowerBound
            while from < line.upperBound {
                let to = Self.cut(bytes, from, line.upperBound)
                places.append(from..<to)
                masks.append(starts.mask(of: bytes, in: from..<to))
                from = to
            }
        }
    }

    private static func nextLine(of bytes: UnsafeBufferPointer<UInt8>, in rest: inout Range<Int>) -> Range<
        Int
    >? {
        guard let base = bytes.baseAddress, !rest.isEmpty else { return nil }
        let start = rest.lowerBound
        let found = memchr(base + start, 0x0A, rest.count)
        let end = found.map { UnsafeRawPointer($0) - UnsafeRawPointer(base) } ?? rest.upperBound
        rest = min(end + 1, rest.upperBound)..<rest.upperBound
        return start..<end
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
        return String(unsafeUninitializedCapacity: capacity) { text in
            var end = 0
            for place in places[range] {
                if end > 0 {
                    text[end] = 0x0A
                    end += 1
                }
                for byte in bytes[place] {
                    text[end] = byte
                    end += 1
                }
                while end > 0, text[end - 1] == 0x20 || text[end - 1] == 0x0D { end -= 1 }
            }
            return end
        }
    }
}

/// Recognises terms at the beginnings of words, by their first byte.
private struct TermStarts {
    /// What a byte is to a word: the lowest bit says that it belongs to one, the next that it may begin a term anywhere.
    private static let classes: [UInt8] = (0...255).map { (byte: UInt8) in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x80...0xBF: 0b01
        // The first byte of a character beyond ASCII: many scripts have no spaces.
        case 0xC0...: 0b11
        default: 0
        }
    }

    private let terms: [[UInt8]]
    /// Of each byte, letters in either case, the terms that begin with it, a bit each.
    private var byFirst = [UInt64](repeating: 0, count: 256)

    init(_ terms: [String]) {
        self.terms = terms.prefix(UInt64.bitWidth).map { Array($0.utf8) }
        for (index, term) in self.terms.enumerated() {
            guard let first = term.first else { continue }
            byFirst[Int(first)] |= 1 << UInt64(index)
            if (0x61...0x7A).contains(first) { byFirst[Int(first & 0xDF)] |= 1 << UInt64(index) }
        }
    }

    func mask(of bytes: UnsafeBufferPointer<UInt8>, in range: Range<Int>) -> UInt64 {
        // Each byte of each candidate goes through this loop: no bounds are checked in it.
        Self.classes.withUnsafeBufferPointer { classes in
            byFirst.withUnsafeBufferPointer { byFirst in
                var mask: UInt64 = 0
                var before: UInt8 = 0
                for index in range {
                    let byte = Int(bytes[index])
                    let kind = classes[byte]
                    if kind & ~before & 0b01 | kind & 0b10 != 0 {
                        var candidates = byFirst[byte] & ~mask
                        while candidates != 0 {
                            let term = candidates.trailingZeroBitCount
                            candidates &= candidates - 1
                            if Self.matches(terms[term], bytes, index, range.upperBound) {
                                mask |= 1 << UInt64(term)
                            }
                        }
                    }
                    before = kind
                }
                return mask
            }
        }
    }

    private static func matches(
        _ term: [UInt8], _ bytes: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int
    ) -> Bool {
        guard start + term.count <= end else { return false }
        for offset in term.indices where lowered(bytes[start + offset]) != term[offset] {
            // A stem's last i stands for a y too: "memori" is found in "memory".
            let isLast = offset == term.count - 1 && offset > 2
            return isLast && term[offset] == 0x69 && lowered(bytes[start + offset]) == 0x79
        }
        return true
    }

    private static func lowered(_ byte: UInt8) -> UInt8 {
        (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
    }
}
