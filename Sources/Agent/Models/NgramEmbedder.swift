import Foundation
import Memory

/// The built-in embedding: words, pairs of words and n-grams of characters, hashed with a sign into a fixed
/// number of dimensions (the hashing trick of Weinberger et al., 2009). Finds shared words and spellings;
/// knows no synonyms.
///
/// The same text gives the same vector in every process and on every machine of one libm.
public struct NgramEmbedder: Sendable {
    /// Names the vector space. Changes whenever the vectors would.
    public static let model = "builtin-ngram-v1"
    public static let defaultDimension = 512

    public let dimension: Int

    /// - Parameter dimension: 64 or more; fewer make unrelated words collide too often to be of use.
    public init(dimension: Int = NgramEmbedder.defaultDimension) {
        precondition(dimension > 0, "an embedding needs a dimension")
        self.dimension = dimension
    }

    public var embedder: Embedder {
        let this = self
        return Embedder(model: Self.model, dimension: dimension) { texts in texts.map { this.vector(for: $0) }
        }
    }

    /// A vector of unit length; of a text without any letter or digit, the first axis.
    public func vector(for text: String) -> [Float] {
        var features = FeatureBag()
        features.add(text)
        var vector = [Float](repeating: 0, count: dimension)
        features.forEach { hash, weight in
            // The lowest bit is the sign, the others choose the axis.
            let axis = Int((hash >> 1) % UInt64(dimension))
            vector[axis] += hash & 1 == 0 ? weight : -weight
        }
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        guard length > 0 else {
            vector[0] = 1
            return vector
        }
        for axis in vector.indices { vector[axis] /= length }
        return vector
    }
}

/// The weighted features of one text.
private struct FeatureBag {
    private struct Feature {
        var hash: UInt64
        var weight: Float
    }

    private enum Kind: UInt8 {
        case word = 1, pair, gram, ideographs
    }

    private var features: [Feature] = []

    mutating func add(_ text: String) {
        var previous: String?
        for token in Lexicon.tokens(of: text) {
            switch token {
            case .word(let word):
                if Vocabulary.stopWords.contains(word) {
                    add(.word, word.utf8, 0.1)
                } else {
                    let stem = Lexicon.stem(word)
                    add(.word, stem.utf8, 1)
                    addGrams(of: stem)
                    if let previous { addPair(previous, stem, 0.3) }
                    previous = stem
                }
            case .ideographs(let run):
                addIdeographs(of: run)
                previous = nil
            }
        }
    }

    /// Calls with each distinct feature's hash and log-damped weight, in the order of the hashes: a sum of
    /// floats depends on its order, and this one is the same in every process.
    mutating func forEach(_ body: (UInt64, Float) -> Void) {
        features.sort { $0.hash < $1.hash }
        var index = 0
        while index < features.count {
            let feature = features[index]
            var count = 0
            while index < features.count, features[index].hash == feature.hash {
                count += 1
                index += 1
            }
            body(feature.hash, feature.weight * (1 + logf(Float(count))))
        }
    }

    /// A word's n-grams weigh together about as much as the word, however long it is.
    private mutating func addGrams(of word: String) {
        let scalars = ScalarBytes("^\(word)$")
        let count = (3...4).reduce(0) { $0 + max(0, scalars.count - $1 + 1) }
        guard count > 1 else { return }
        let weight = 0.7 / Float(count).squareRoot()
        for size in 3...4 where scalars.count >= size {
            for start in 0...(scalars.count - size) {
                add(.gram, scalars[start, size], weight)
            }
        }
    }

    private mutating func addIdeographs(of run: String) {
        let scalars = ScalarBytes(run)
        let isFunction = run.unicodeScalars.map { Vocabulary.functionIdeographs.contains($0) }
        for size in 1...3 where scalars.count >= size {
            for start in 0...(scalars.count - size) {
                let weight: Float = size == 2 ? 1 : 0.4
                add(
                    .ideographs, scalars[start, size],
                    isFunction[start..<start + size].contains(true) ? weight * 0.1 : weight)
            }
        }
    }

    private mutating func add(_ kind: Kind, _ bytes: some Sequence<UInt8>, _ weight: Float) {
        var hash = FeatureHash(kind: kind.rawValue)
        hash.combine(bytes)
        features.append(Feature(hash: hash.value, weight: weight))
    }

    private mutating func addPair(_ first: String, _ second: String, _ weight: Float) {
        var hash = FeatureHash(kind: Kind.pair.rawValue)
        hash.combine(first.utf8)
        hash.combine(CollectionOfOne(UInt8(ascii: " ")))
        hash.combine(second.utf8)
        features.append(Feature(hash: hash.value, weight: weight))
    }
}

/// FNV-1a, then the finaliser of MurmurHash3: FNV's low bits alone are too regular for short texts.
private struct FeatureHash {
    private var hash: UInt64

    init(kind: UInt8) {
        hash = (0xCBF2_9CE4_8422_2325 ^ UInt64(kind)) &* 0x100_0000_01B3
    }

    mutating func combine(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }

    var value: UInt64 {
        var hash = hash
        hash = (hash ^ (hash >> 33)) &* 0xFF51_AFD7_ED55_8CCD
        hash = (hash ^ (hash >> 33)) &* 0xC4CE_B9FE_1A85_EC53
        return hash ^ (hash >> 33)
    }
}

/// A text's UTF-8, cut by scalars without making a text of each cut.
private struct ScalarBytes {
    private let bytes: [UInt8]
    /// Where each scalar begins, and the end.
    private let starts: [Int]

    init(_ text: String) {
        let bytes = Array(text.utf8)
        starts = bytes.indices.filter { bytes[$0] & 0xC0 != 0x80 } + [bytes.count]
        self.bytes = bytes
    }

    var count: Int { starts.count - 1 }

    subscript(start: Int, size: Int) -> ArraySlice<UInt8> { bytes[starts[start]..<starts[start + size]] }
}
