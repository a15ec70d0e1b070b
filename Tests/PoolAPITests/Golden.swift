// Finds the files that tests read and compare with.
import Foundation
import Testing

/// The repository's files as the tests see them, and files that hold an expected output.
///
/// `AGENTPOOL_UPDATE_GOLDEN=1` makes the tests write the outputs in place of comparing them.
enum Golden {
    static let repository = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static let corpus = "Tests/PoolAPITests/Corpus"

    static func text(_ path: String) throws -> String {
        try String(contentsOf: repository.appending(path: path), encoding: .utf8)
    }

    /// The YAML files of a folder of the corpus, by name.
    static func corpusFiles(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(
            atPath: repository.appending(path: "\(corpus)/\(folder)").path
        ).filter { $0.hasSuffix(".yaml") }.sorted().map { "\(corpus)/\(folder)/\($0)" }
    }

    /// The names of a folder's YAML files without their ends, in order.
    static func files(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: repository.appending(path: folder).path)
            .filter { $0.hasSuffix(".yaml") }.map { String($0.dropLast(5)) }.sorted()
    }

    static func expect(_ text: String, equals path: String) throws {
        if ProcessInfo.processInfo.environment["AGENTPOOL_UPDATE_GOLDEN"] == "1" {
            try text.write(to: repository.appending(path: path), atomically: true, encoding: .utf8)
        }
        let expected = try self.text(path)
        #expect(text == expected, "\(path) differs; AGENTPOOL_UPDATE_GOLDEN=1 swift test writes it anew")
    }
}
