import Foundation
import Logging
import Synchronization
import Testing

@testable import Agent

/// Keeps what is logged.
private final class Heard: Sendable {
    let reasons = Mutex<[String]>([])

    var logger: Logger { Logger(label: "test") { _ in Handler(heard: self) } }

    private struct Handler: LogHandler {
        let heard: Heard
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .info
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            heard.reasons.withLock { $0.append("\(event.metadata?["reason"] ?? "")") }
        }
    }
}

@Suite("The shelf of skills") struct SkillShelfTests {
    private let directory: SkillDirectory
    private let heard = Heard()

    init() throws { directory = try SkillDirectory() }

    private func shelf(_ names: String...) -> SkillShelf {
        SkillShelf(
            Dictionary(uniqueKeysWithValues: names.map { ($0, directory.folder($0)) }), logger: heard.logger)
    }

    @Test("A changed skill is read anew, an unchanged one isn't, and its version goes with its guide")
    func changes() throws {
        let shelf = shelf("refunds")
        try directory.mount(
            "refunds", version: "1", ["SKILL.md": SkillDirectory.file("refunds", "D.", "One.")])
        shelf.refresh()
        let first = try #require(shelf.skill("refunds"))
        shelf.refresh()
        #expect(shelf.skill("refunds") == first && first.guide == "One.")
        try directory.mount(
            "refunds", version: "2",
            ["SKILL.md": SkillDirectory.file("refunds", "E.", "Two."), "a.md": "a"])
        shelf.refresh()
        let second = try #require(shelf.skill("refunds"))
        #expect(second.guide == "Two." && second.description == "E." && second.files.files == ["a.md"])
        #expect(second.version != first.version)
        #expect(heard.reasons.withLock { $0 }.isEmpty)
    }

    @Test("One that isn't there is left out with one warning, and read once it is there")
    func appears() throws {
        let shelf = shelf("refunds")
        shelf.refresh()
        shelf.refresh()
        #expect(shelf.skill("refunds") == nil && heard.reasons.withLock { $0.count } == 1)
        try directory.write(SkillDirectory.file("refunds", "D.", "One."), "refunds/SKILL.md")
        shelf.refresh()
        #expect(shelf.skill("refunds")?.guide == "One.")
        try FileManager.default.removeItem(atPath: directory.folder("refunds"))
        shelf.refresh()
        #expect(shelf.skill("refunds") == nil && heard.reasons.withLock { $0.count } == 2)
    }

    @Test("A warning is given once for each content, not at each look")
    func warnings() throws {
        let shelf = shelf("refunds")
        let named = SkillDirectory.file("other", "D.", "One.")
        try directory.write(named, "refunds/SKILL.md")
        for _ in 0..<3 { shelf.refresh() }
        // The same content in another file.
        try directory.write(named, "refunds/SKILL.md")
        shelf.refresh()
        #expect(heard.reasons.withLock { $0.count } == 1)
        try directory.write("no front matter", "refunds/SKILL.md")
        for _ in 0..<3 { shelf.refresh() }
        #expect(shelf.skill("refunds") == nil)
        #expect(heard.reasons.withLock { $0.count } == 2)
    }

    @Test("A SKILL.md that leads out of its folder is left out with a warning, and the others are read")
    func leadsOut() throws {
        try directory.write(SkillDirectory.file("refunds", "D.", "One."), "other.md")
        try directory.link("refunds/SKILL.md", to: "../other.md")
        try directory.write(SkillDirectory.file("returns", "D.", "Two."), "returns/SKILL.md")
        let shelf = shelf("refunds", "returns")
        for _ in 0..<3 { shelf.refresh() }
        #expect(shelf.skill("refunds") == nil && shelf.skill("returns")?.guide == "Two.")
        #expect(heard.reasons.withLock { $0.count } == 1)
    }

    @Test("A huge SKILL.md is read to its bound and cut")
    func huge() throws {
        let text = SkillDirectory.file("refunds", "D.", String(repeating: "long ", count: 1 << 20))
        try directory.write(text, "refunds/SKILL.md")
        let shelf = shelf("refunds")
        shelf.refresh()
        let skill = try #require(shelf.skill("refunds"))
        #expect(skill.isCut && skill.guide.utf8.count <= SkillFile.guideLimit)
    }

    @Test("Opening a skill lists its files anew, though its SKILL.md is the same")
    func opened() throws {
        try directory.write(SkillDirectory.file("refunds", "D.", "One."), "refunds/SKILL.md")
        let shelf = shelf("refunds")
        shelf.refresh()
        try directory.write("x", "refunds/a.md")
        shelf.refresh()
        #expect(shelf.skill("refunds")?.files.files == [])
        #expect(shelf.opened("refunds")?.files.files == ["a.md"])
        #expect(shelf.skill("refunds")?.files.files == ["a.md"])
    }
}
