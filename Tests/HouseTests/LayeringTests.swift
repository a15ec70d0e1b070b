/// Holds the imports of every target against the direction in which the design lets them run.
import Foundation
import Testing

@Suite("The house")
struct LayeringTests {
    /// What each folder of Sources may import of the project's own modules. `nil`: everything.
    static let allowed: [String: Set<String>?] = [
        "PoolAPI": [],
        "CCurl": [],
        "Transport": ["CCurl"],
        "CHiredis": [],
        "Redis": ["CHiredis"],
        "Milvus": [],
        "Memory": ["Redis", "Milvus"],
        "CProcess": [],
        "Agent": ["CProcess", "PoolAPI", "Transport", "Memory"],
        "Worker": ["PoolAPI", "Agent", "Memory", "Transport"],
        "Kubernetes": ["PoolAPI", "Transport"],
        "Controller": ["PoolAPI", "Kubernetes", "Transport"],
        "agentpool": nil,
    ]

    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test("every folder of Sources has its place in the order of layers")
    func everyTargetIsListed() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.root.path + "/Sources")
        #expect(Set(folders) == Set(Self.allowed.keys))
    }

    @Test("imports run one way", arguments: allowed.keys.sorted())
    func importsRunOneWay(target: String) throws {
        let modules = Set(Self.allowed.keys)
        guard let permitted = try #require(Self.allowed[target]) else { return }
        var wrong: [String] = []
        for (file, text) in try Self.sources(of: target) {
            for module in Self.imports(in: text) where modules.contains(module) && !permitted.contains(module)
            {
                wrong.append("\(file) imports \(module)")
            }
        }
        #expect(wrong.isEmpty)
    }

    @Test("a wrong import would be seen")
    func wrongImportsAreSeen() {
        let text = "import Foundation\n@testable public import Worker\ninternal import struct Memory.Turn\n"
        #expect(Self.imports(in: text) == ["Foundation", "Worker", "Memory"])
    }

    @Test("every file opens by saying what it decides or owns")
    func filesOpenWithASentence() throws {
        var mute: [String] = []
        for target in Self.allowed.keys {
            for (file, text) in try Self.sources(of: target) {
                let first = text.split(separator: "\n").first { !$0.hasPrefix("import") && !$0.isEmpty }
                if first?.hasPrefix("//") != true { mute.append(file) }
            }
        }
        #expect(mute.isEmpty)
    }

    private static func sources(of target: String) throws -> [(file: String, text: String)] {
        let folder = root.path + "/Sources/" + target
        let paths = try FileManager.default.subpathsOfDirectory(atPath: folder)
        return try paths.filter { $0.hasSuffix(".swift") }.map {
            (target + "/" + $0, try String(contentsOfFile: folder + "/" + $0, encoding: .utf8))
        }
    }

    private static func imports(in text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            guard
                let match = line.firstMatch(
                    of:
                        /^(?:@\w+ )?(?:public |package |internal |private |fileprivate )?import (?:\w+ )??(\w+)(?:\.\w+)*\s*$/
                )
            else { return nil }
            return String(match.1)
        }
    }
}
