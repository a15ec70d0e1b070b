import Agent
import Foundation
import PoolAPI
import Testing

/// The reader against Foundation's decoder: both take the same texts, and what they take means the same.
@Suite struct JSONReaderFuzzTests {
    private static let corpus = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus")

    @Test(
        "Every text of the corpus, whole and mutated, is taken or refused as Foundation does, with equal values"
    )
    func agreesWithFoundation() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.corpus.path).filter {
            $0.hasSuffix(".json")
        }.sorted()
        let texts = try names.map { Array(try Data(contentsOf: Self.corpus.appending(path: $0))) }
        try #require(texts.count >= 5)
        for text in texts { compare(text) }
        var random = SplitMix(state: 20_261_122)
        for _ in 0..<6000 {
            let base = texts[Int.random(in: texts.indices, using: &random)]
            let other = texts[Int.random(in: texts.indices, using: &random)]
            compare(Self.mutated(base, with: other, &random))
        }
    }

    private func compare(_ bytes: [UInt8]) {
        // Foundation guesses UTF-16 and UTF-32 from zeros and byte order marks at the start; JSON is UTF-8
        // here.
        if bytes.prefix(4).contains(where: { $0 == 0 || $0 >= 0xEF }) { return }
        let theirs = Result { try JSONDecoder().decode(JSONValue.self, from: Data(bytes)) }
        let ours = Result { try Self.tree(bytes) }
        // Foundation lets a comma stand before the end of an object, which JSON does not.
        if case .failure(let error as JSONError) = ours, error.reason == .expected("a value after ','") {
            return
        }
        switch (ours, theirs) {
        case (.success(let ours), .success(let theirs)):
            #expect(
                Self.comparable(ours) == Self.comparable(theirs), "\(String(decoding: bytes, as: UTF8.self))")
        case (.failure, .failure): break
        case (.success, .failure(let error)), (.failure(let error), .success):
            Issue.record("only one of both refuses \(String(decoding: bytes, as: UTF8.self)): \(error)")
        }
    }

    private static func tree(_ bytes: [UInt8]) throws -> JSONValue {
        var reader = JSONReader(bytes, depthLimit: 512)
        let value = try tree(&reader)
        try reader.finish()
        return value
    }

    private static func tree(_ reader: inout JSONReader) throws -> JSONValue {
        switch try reader.peek() {
        case .null:
            _ = try reader.readNull()
            return .null
        case .bool: return .bool(try reader.readBool())
        case .number: return .number(try reader.readDouble())
        case .string: return .string(try reader.readString())
        case .array:
            var elements: [JSONValue] = []
            try reader.beginArray()
            while try reader.nextElement() { elements.append(try tree(&reader)) }
            return .array(elements)
        case .object:
            var members: [String: JSONValue] = [:]
            try reader.beginObject()
            while let key = try reader.nextKey() {
                let value = try tree(&reader)
                // Of two members of one name Foundation keeps the first.
                if members[key] == nil { members[key] = value }
            }
            return .object(members)
        }
    }

    /// The same value with every number as a double.
    private static func comparable(_ value: JSONValue) -> JSONValue {
        switch value {
        case .integer(let integer): .number(Double(integer))
        case .array(let elements): .array(elements.map(comparable))
        case .object(let members): .object(members.mapValues(comparable))
        case .null, .bool, .number, .string: value
        }
    }

    private static func mutated(_ base: [UInt8], with other: [UInt8], _ random: inout SplitMix) -> [UInt8] {
        var text = base
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let place = Int.random(in: 0...text.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0:
                text.insert(Array(#"{}[]",:\utfn0e-.1 "#.utf8).randomElement(using: &random) ?? 0, at: place)
            case 1: if place < text.count { text.remove(at: place) }
            case 2: if place < text.count { text[place] = UInt8.random(in: 1...255, using: &random) }
            case 3: text.removeSubrange(place...)
            case 4:
                let start = Int.random(in: 0...other.count, using: &random)
                text.insert(contentsOf: other[start..<min(other.count, start + 12)], at: place)
            default:
                let end = min(text.count, place + Int.random(in: 0...8, using: &random))
                text.replaceSubrange(place..<end, with: text[place..<end].reversed())
            }
        }
        return text
    }
}

/// A seeded generator, so that a failure comes back on every run (Steele, Lea, Flood: SplitMix64).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
