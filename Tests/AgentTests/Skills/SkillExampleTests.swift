import Foundation
import PoolAPI
import Testing

@testable import Agent

@Suite("The example of skills") struct SkillExampleTests {
    @Test("Its skill is read without a warning, and its guide names the file that lies beside it")
    func example() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        let yaml = try String(contentsOf: root.appending(path: "examples/skills.yaml"), encoding: .utf8)
        let manifest = try ManifestFile.parse(yaml: yaml)
        let skill = try #require(manifest.pools.first?.spec.skills.first)
        let reference = try #require(skill.configMapRef)
        let items = try #require(reference.items)
        let values = try #require(manifest.configMaps[reference.name])
        let main = try #require(items.first { $0.path == SkillFolder.fileName }.flatMap { values[$0.key] })
        let file = try SkillFile(Array(main.utf8), name: skill.name)
        #expect(file.warnings.isEmpty && !file.isCut)
        for item in items where item.path != SkillFolder.fileName {
            #expect(values[item.key] != nil && file.guide.contains("`\(item.path)`"))
        }
    }
}
