import Foundation
import Testing

@testable import Transport

/// Random splits and mutations of the streams under Corpus/, each compared with a plain reading of the standard.
///
/// The rounds are counted, not timed, and seeded: `FUZZ_ITERATIONS` sets their number, `FUZZ_SEED` repeats a run.
@Suite struct ServerSentEventFuzzTests {
    /// SplitMix64.
    private struct Random: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var word = state
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            return word ^ (word >> 31)
        }
    }

    private struct Outcome: Equatable {
        var events: [ServerSentEvent] = []
        var lastEventID: String?
        var reconnectionTime: Int?
        var failed = false
    }

    private static func number(_ name: String, _ standard: Int) -> Int {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? standard
    }

    private static func corpus() throws -> [[UInt8]] {
        let folder = TestServer.fixtures.deletingLastPathComponent().appending(path: "Corpus")
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "sse" }
            .sorted { $0.path < $1.path }
            .map { try [UInt8](Data(contentsOf: $0)) }
    }

    private static func parse(_ pieces: [ArraySlice<UInt8>], maxEventBytes: Int) -> Outcome {
        var parser = ServerSentEventParser(maxEventBytes: maxEventBytes)
        var outcome = Outcome()
        do {
            for piece in pieces { try parser.feed(Array(piece), into: &outcome.events) }
        } catch {
            outcome.failed = true
        }
        outcome.lastEventID = parser.lastEventID
        outcome.reconnectionTime = parser.reconnectionTime
        return outcome
    }

    /// The standard's own words, a byte at a time and without a bound.
    private static func reference(_ bytes: [UInt8]) -> Outcome {
        var stream = bytes[...]
        if stream.starts(with: [0xEF, 0xBB, 0xBF]) { stream = stream.dropFirst(3) }
        var lines: [[UInt8]] = []
        var line: [UInt8] = []
        var previous: UInt8 = 0
        for byte in stream {
            if byte == 10 || byte == 13 {
                if !(byte == 10 && previous == 13) {
                    lines.append(line)
                    line = []
                }
            } else {
                line.append(byte)
            }
            previous = byte
        }
        var outcome = Outcome()
        var data: [UInt8] = []
        var event: [UInt8] = []
        var id: String?
        var retry: Int?
        for line in lines {
            if line.isEmpty {
                outcome.lastEventID = id
                if !data.isEmpty {
                    let type = event.isEmpty ? "message" : String(decoding: event, as: UTF8.self)
                    outcome.events.append(
                        ServerSentEvent(
                            fields: .init(event: type, id: id, retry: retry), data: data.dropLast()))
                }
                (data, event, retry) = ([], [], nil)
                continue
            }
            let colon = line.firstIndex(of: 58) ?? line.count
            var value = line.dropFirst(colon + 1)
            if value.first == 32 { value = value.dropFirst() }
            switch String(decoding: line[..<colon], as: UTF8.self) {
            case "data": data += value + [10]
            case "event": event = Array(value)
            case "id": if !value.contains(0) { id = String(decoding: value, as: UTF8.self) }
            case "retry":
                let text = String(decoding: value, as: UTF8.self)
                if value.allSatisfy({ (48...57).contains($0) }), let number = Int(text) {
                    retry = number
                    outcome.reconnectionTime = number
                }
            default: break
            }
        }
        return outcome
    }

    private static func mutated(_ bytes: [UInt8], _ corpus: [[UInt8]], using random: inout Random) -> [UInt8]
    {
        let telling = Array("\n\r: \0dataeventidretry0\u{FEFF}".utf8)
        var bytes = bytes
        for _ in 0..<Int.random(in: 0...6, using: &random) {
            let place = Int.random(in: 0...bytes.count, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes.insert(telling.randomElement(using: &random) ?? 0, at: place)
            case 1: if place < bytes.count { bytes.remove(at: place) }
            case 2: if place < bytes.count { bytes[place] = UInt8.random(in: 0...255, using: &random) }
            default:
                let other = corpus.randomElement(using: &random) ?? []
                let start = Int.random(in: 0...other.count, using: &random)
                bytes.insert(contentsOf: other[start...].prefix(40), at: place)
            }
        }
        return bytes
    }

    private static func split(_ bytes: [UInt8], using random: inout Random) -> [ArraySlice<UInt8>] {
        var pieces: [ArraySlice<UInt8>] = []
        var rest = bytes[...]
        let longest = [1, 2, 5, 50, 500].randomElement(using: &random) ?? 1
        while !rest.isEmpty {
            let count = min(rest.count, Int.random(in: 0...longest, using: &random))
            pieces.append(rest.prefix(count))
            rest = rest.dropFirst(count)
        }
        return pieces
    }

    @Test("Every stream of the corpus gives the same events byte by byte as at once")
    func corpusByteByByte() throws {
        for stream in try Self.corpus() {
            let whole = Self.parse([stream[...]], maxEventBytes: 10_000)
            #expect(whole == Self.reference(stream))
            #expect(Self.parse(stream.indices.map { stream[$0...$0] }, maxEventBytes: 10_000) == whole)
        }
    }

    @Test("Any split of any mutated stream gives what the standard asks for, and the same with a tight bound")
    func randomSplits() throws {
        let corpus = try Self.corpus()
        try #require(corpus.count >= 10)
        let seed = Self.number("FUZZ_SEED", 20_240_229)
        var random = Random(state: UInt64(truncatingIfNeeded: seed))
        for round in 0..<Self.number("FUZZ_ITERATIONS", 20_000) {
            let stream = Self.mutated(corpus.randomElement(using: &random) ?? [], corpus, using: &random)
            let pieces = Self.split(stream, using: &random)
            try #require(
                Self.parse(pieces, maxEventBytes: 10_000) == Self.reference(stream),
                "round \(round) of seed \(seed): \(stream)")
            let bound = Int.random(in: 1...60, using: &random)
            try #require(
                Self.parse(pieces, maxEventBytes: bound) == Self.parse([stream[...]], maxEventBytes: bound),
                "round \(round) of seed \(seed), bound \(bound): \(stream)")
        }
    }
}
