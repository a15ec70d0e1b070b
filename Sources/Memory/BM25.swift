/// How well a text's words answer a query: BM25, divided by the most that the query could reach, so 0...1.
import Foundation

struct BM25 {
    private static let saturation = 1.2
    private static let lengthWeight = 0.75

    /// Of each of the query's terms what it is worth at most, as a part of them all: rare ones weigh more.
    private let weights: [Double]
    private let averageLength: Double

    /// - Parameters:
    ///   - frequencies: in how many of the documents each of the terms occurs.
    ///   - averageLength: terms of a document.
    init(frequencies: [Int], documents: Int, averageLength: Double) {
        let weights = frequencies.map { frequency in
            let rest = Double(documents - frequency)
            return log(1 + (rest + 0.5) / (Double(frequency) + 0.5))
        }
        let sum = weights.reduce(0, +)
        self.weights = weights.map { sum > 0 ? $0 / sum : 0 }
        self.averageLength = max(averageLength, 1)
    }

    /// What a document's length does to each of its terms.
    func norm(length: Int) -> Double {
        Self.saturation * (1 - Self.lengthWeight + Self.lengthWeight * Double(length) / averageLength)
    }

    /// What one term adds, that occurs `count` times in a document of the norm.
    func share(ofTermAt index: Int, count: Int, norm: Double) -> Double {
        weights[index] * Double(count) / (Double(count) + norm)
    }
}

extension BM25 {
    /// Ranks rows.
    init(terms: [String], statistics: TermStatistics, averageLength: Double) {
        self.init(
            frequencies: terms.map { statistics.frequencies[$0] ?? 0 }, documents: statistics.documents,
            averageLength: averageLength)
    }
}
