// Searches for texts that break the reader of manifests.
import Foundation
import Testing

@testable import PoolAPI

@Suite struct FuzzTests {
    /// Manifests a seed; `AGENTPOOL_FUZZ_ROUNDS` makes a longer search.
    private static let rounds =
        ProcessInfo.processInfo.environment["AGENTPOOL_FUZZ_ROUNDS"].flatMap(Int.init) ?? 300

    @Test(
        "A mutated manifest is read or refused with a mend, and what is read can be written and read again",
        arguments: 1...4 as ClosedRange<UInt64>)
    func mutations(seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        let files = try Golden.corpusFiles("valid") + Golden.corpusFiles("invalid")
        let seeds = try (files + ["examples/support.yaml"]).map(Golden.text)
        var accepted = 0
        for round in 0..<Self.rounds {
            var text = seeds[round % seeds.count]
            for _ in 0...Int.random(in: 0..<4, using: &random) {
                text = Mutation.apply(to: text, among: seeds, using: &random)
            }
            do {
                for pool in try ManifestFile.parse(yaml: text).pools {
                    accepted += 1
                    // No worker's configuration has those.
                    if pool.spec.mcpServers.contains(where: { $0.command != nil }) { continue }
                    let config = WorkerConfig(pool: pool.reference, spec: pool.spec)
                    #expect(
                        try WorkerConfig.decode(config.encoded()) == config, "seed \(seed), round \(round)")
                }
            } catch let error as ManifestError {
                #expect(!error.problems.isEmpty, "seed \(seed), round \(round)")
                for problem in error.problems {
                    #expect(!problem.mend.isEmpty, "seed \(seed), round \(round)")
                    #expect(
                        !problem.message.hasPrefix("could not be read"),
                        "seed \(seed), round \(round): \(text)")
                }
            }
        }
        #expect(accepted > 0, "mutations that break everything test only the first lines of the reader")
    }
}

/// Small changes of a YAML text: of lines, of words, of single characters.
enum Mutation {
    private static let words = [
        "null", "~", "yes", "None", "[]", "{}", "\"\"", "-1", "0", "1e999", ".nan", "99999999999999999999",
        "15m", "3 days",
        "512Mi", "&a", "*a", "!!int 1", "<<: *a", "|", ">-", "? x", "- x", "x: y", "---", "...", "%YAML 1.1",
        "\t",
        "\u{feff}", "\u{0}", "😀", "\u{2028}", "[", "{", "'", "#",
    ]

    static func apply(to text: String, among seeds: [String], using random: inout SplitMix64) -> String {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let index = Int.random(in: 0..<lines.count, using: &random)
        let word = words[Int.random(in: 0..<words.count, using: &random)]
        switch Int.random(in: 0..<8, using: &random) {
        case 0: lines.remove(at: index)
        case 1: lines.insert(lines[index], at: index)
        case 2: lines.swapAt(index, Int.random(in: 0..<lines.count, using: &random))
        case 3: lines[index] = " " + lines[index]
        case 4:
            // The value of a field becomes another one.
            if let colon = lines[index].firstIndex(of: ":") {
                lines[index] = lines[index][...colon] + " " + word
            }
        case 5:
            let other = seeds[Int.random(in: 0..<seeds.count, using: &random)].split(separator: "\n")
            lines.insert(String(other[Int.random(in: 0..<other.count, using: &random)]), at: index)
        case 6:
            var scalars = Array(lines[index].unicodeScalars)
            guard !scalars.isEmpty else { break }
            let place = Int.random(in: 0..<scalars.count, using: &random)
            if Bool.random(using: &random) {
                scalars.remove(at: place)
            } else {
                scalars[place] = Unicode.Scalar(UInt8.random(in: 32..<127, using: &random))
            }
            lines[index] = String(String.UnicodeScalarView(scalars))
        default:
            let line = lines[index]
            let place = line.index(line.startIndex, offsetBy: Int.random(in: 0...line.count, using: &random))
            lines[index] = line[..<place] + word + line[place...]
        }
        return lines.isEmpty ? word : lines.joined(separator: "\n")
    }
}

/// A generator whose sequence a seed fixes (Steele, Lea, Flood 2014).
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
