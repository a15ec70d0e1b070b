/// Finds the passage of a text that answers a query best: what a memory shows beside its summary.

enum Passage {
    static let maximumCharacters = 600

    /// Consecutive lines, or a part of one long line, with as many of the terms as fit in `maximumCharacters`; the
    /// text's beginning where none occurs.
    static func best(of text: String, terms: [String]) -> String {
        let pieces = pieces(of: text)
        guard let first = pieces.first else { return "" }
        let wanted = Set(terms)
        var best = (score: 0.0, range: 0..<1)
        let found = pieces.map { wanted.intersection(Tokenizer.terms(String($0))) }
        for start in pieces.indices {
            guard !found[start].isEmpty else { continue }
            var (end, length, seen) = (start, 0, Set<String>())
            while end < pieces.count, length + pieces[end].count < maximumCharacters || end == start {
                length += pieces[end].count + 1
                seen.formUnion(found[end])
                end += 1
                // Terms that stand close together say more than the same ones far apart.
                let score = Double(seen.count) - Double(length) / Double(maximumCharacters * 4)
                if score > best.score { best = (score, start..<end) }
            }
        }
        guard best.score > 0 else { return String(first) }
        let upTo = widened(best.range, pieces)
        return pieces[upTo].map { $0.trimmingNewline() }.joined(separator: "\n")
    }

    /// Lines; one that is too long is cut at spaces.
    private static func pieces(of text: String) -> [Substring] {
        var pieces: [Substring] = []
        for line in text.split(whereSeparator: \.isNewline) {
            var rest = line
            while rest.count > maximumCharacters {
                let limit = rest.index(rest.startIndex, offsetBy: maximumCharacters)
                let cut = rest[..<limit].lastIndex(of: " ").map { rest.index(after: $0) } ?? limit
                pieces.append(rest[..<cut])
                rest = rest[cut...]
            }
            pieces.append(rest)
        }
        return pieces
    }

    /// The answer to a question stands after it: what room is left goes to the lines that follow.
    private static func widened(_ range: Range<Int>, _ pieces: [Substring]) -> Range<Int> {
        var (end, length) = (range.upperBound, pieces[range].reduce(0) { $0 + $1.count + 1 })
        while end < pieces.count, length + pieces[end].count < maximumCharacters {
            length += pieces[end].count + 1
            end += 1
        }
        return range.lowerBound..<end
    }
}

extension Substring {
    fileprivate func trimmingNewline() -> Substring {
        last?.isNewline == true || last == " " ? dropLast() : self
    }
}
