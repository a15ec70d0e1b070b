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
    func changes() async throws {
        let shelf = shelf("refunds")
        try directory.mount(
            "refunds", version: "1", ["SKILL.md": SkillDirectory.file("refunds", "D.", "One.")])
        await shelf.refresh()
        let first = try #require(shelf.skill("refunds"))
        await shelf.refresh()
        #expect(shelf.skill("refunds") == first && first.guide == "One.")
        try directory.mount(
            "refunds", version: "2",
            ["SKILL.md": SkillDirectory.file("refunds", "E.", "Two."), "a.md": "a"])
        await shelf.refresh()
        let second = try #require(shelf.skill("refunds"))
        #expect(second.guide == "Two." && second.description == "E." && second.files.files == ["a.md"])
        #expect(second.version != first.version)
        #expect(heard.reasons.withLock { $0 }.isEmpty)
    }

    @Test("One that isn't there is left out with one warning, and read once it is there")
    func appears() async throws {
        let shelf = shelf("refunds")
        await shelf.refresh()
        await shelf.refresh()
        #expect(shelf.skill("refunds") == nil && heard.reasons.withLock { $0.count } == 1)
        try directory.write(SkillDirectory.file("refunds", "D.", "One."), "refunds/SKILL.md")
        await shelf.refresh()
        #expect(shelf.skill("refunds")?.guide == "One.")
        try FileManager.default.removeItem(atPath: directory.folder("refunds"))
        await shelf.refresh()
        #expect(shelf.skill("refunds") == nil && heard.reasons.withLock { $0.count } == 2)
    }

    @Test("A warning is given once for each content, not at each look")
    func warnings() async throws {
        let shelf = shelf("refunds")
        let named = SkillDirectory.file("other", "D.", "One.")
        try directory.write(named, "refunds/SKILL.md")
        for _ in 0..<3 { await shelf.refresh() }
        // The same content in another file.
        try directory.write(named, "refunds/SKILL.md")
        await shelf.refresh()
        #expect(heard.reasons.withLock { $0.count } == 1)
        try directory.write("no front matter", "refunds/SKILL.md")
        for _ in 0..<3 { await shelf.refresh() }
        #expect(shelf.skill("refunds") == nil)
        #expect(heard.reasons.withLock { $0.count } == 2)
    }

    @Test("A SKILL.md that leads out of its folder is left out with a warning, and the others are read")
    func leadsOut() async throws {
        try directory.write(SkillDirectory.file("refunds", "D.", "One."), "other.md")
        try directory.link("refunds/SKILL.md", to: "../other.md")
        try directory.write(SkillDirectory.file("returns", "D.", "Two."), "returns/SKILL.md")
        let shelf = shelf("refunds", "returns")
        for _ in 0..<3 { await shelf.refresh() }
        #expect(shelf.skill("refunds") == nil && shelf.skill("returns")?.guide == "Two.")
        #expect(heard.reasons.withLock { $0.count } == 1)
    }

    @Test("A huge SKILL.md is read to its bound and cut")
    func huge() async throws {
        let text = SkillDirectory.file("refunds", "D.", String(repeating: "long ", count: 1 << 20))
        try directory.write(text, "refunds/SKILL.md")
        let shelf = shelf("refunds")
        await shelf.refresh()
        let skill = try #require(shelf.skill("refunds"))
        #expect(skill.isCut && skill.guide.utf8.count <= SkillFile.guideLimit)
    }

    @Test("Opening a skill lists its files anew, though its SKILL.md is the same")
    func opened() async throws {
        try directory.write(SkillDirectory.file("refunds", "D.", "One."), "refunds/SKILL.md")
        let shelf = shelf("refunds")
        await shelf.refresh()
        try directory.write("x", "refunds/a.md")
        await shelf.refresh()
        #expect(shelf.skill("refunds")?.files.files == [])
        #expect(await shelf.opened("refunds")?.files.files == ["a.md"])
        #expect(shelf.skill("refunds")?.files.files == ["a.md"])
    }

    @Test(
        "A folder that doesn't answer holds up no other, and its skill is offered as it was read last",
        .timeLimit(.minutes(1)))
    func hangs() async throws {
        for name in ["refunds", "returns"] {
            try directory.write(SkillDirectory.file(name, "D.", "One."), "\(name)/SKILL.md")
            try directory.write("Thirty days.", "\(name)/policy.md")
        }
        let volume = HangingVolume()
        let hanging = HangingFiles(folder: SkillFolder(path: directory.folder("refunds")), volume: volume)
        let shelf = SkillShelf(
            files: ["refunds": hanging, "returns": SkillFolder(path: directory.folder("returns"))],
            patience: .milliseconds(200), logger: heard.logger)
        await shelf.refresh()
        #expect(shelf.skill("refunds")?.guide == "One." && shelf.skill("returns")?.guide == "One.")

        volume.hang()
        for name in ["refunds", "returns"] {
            try directory.write(SkillDirectory.file(name, "D.", "Number two."), "\(name)/SKILL.md")
        }
        for _ in 0..<5 { await shelf.refresh() }
        #expect(shelf.skill("refunds")?.guide == "One." && shelf.skill("returns")?.guide == "Number two.")
        let silent = heard.reasons.withLock { $0 }
        #expect(silent.count == 1 && silent[0].contains("doesn't answer"), "\(silent)")
        #expect(await shelf.opened("refunds")?.files.files == ["policy.md"])
        await #expect(throws: SkillFolder.Fault.self) {
            try await shelf.read("refunds", "policy.md", limit: 9)
        }
        #expect(try await shelf.read("returns", "policy.md", limit: 9).size == 12)
        // Whoever asks while a call hangs begins none beside it.
        #expect(volume.calls == 1)

        volume.goOn()
        while shelf.skill("refunds")?.guide != "Number two." { await shelf.refresh() }
        #expect(try await shelf.read("refunds", "policy.md", limit: 99).size == 12)
        #expect(heard.reasons.withLock { $0.count } == 1)
    }

    @Test("Folders that never answer take no thread from the tasks of the process", .timeLimit(.minutes(1)))
    func hangFromTheStart() async throws {
        let volume = HangingVolume()
        volume.hang()
        let names = (0..<32).map { "skill-\($0)" }
        let shelf = SkillShelf(
            files: Dictionary(
                uniqueKeysWithValues: names.map {
                    ($0, HangingFiles(folder: SkillFolder(path: directory.folder($0)), volume: volume))
                }), patience: .milliseconds(50), logger: heard.logger)
        while volume.calls < names.count { await shelf.refresh() }
        await shelf.refresh()
        #expect(volume.calls == names.count)
        #expect(names.allSatisfy { shelf.skill($0) == nil })
        let left = heard.reasons.withLock { $0 }
        #expect(left.count == names.count && left.allSatisfy { $0.contains("it is left out") })
        volume.goOn()
    }
}

/// A volume whose calls do not return while it hangs.
private final class HangingVolume: Sendable {
    private struct State {
        var isHanging = false
        var held: [DispatchSemaphore] = []
        var calls = 0
    }

    private let state = Mutex(State())

    /// That hung, or do.
    var calls: Int { state.withLock(\.calls) }

    func hang() { state.withLock { $0.isHanging = true } }

    func goOn() {
        let held = state.withLock { state in
            defer { (state.isHanging, state.held) = (false, []) }
            return state.held
        }
        for call in held { call.signal() }
    }

    func call() {
        let hold: DispatchSemaphore? = state.withLock { state in
            guard state.isHanging else { return nil }
            let hold = DispatchSemaphore(value: 0)
            state.held.append(hold)
            state.calls += 1
            return hold
        }
        hold?.wait()
    }
}

private struct HangingFiles: SkillFiles {
    let folder: SkillFolder
    let volume: HangingVolume

    var path: String { folder.path }

    func fingerprint() -> SkillFolder.Fingerprint? {
        volume.call()
        return folder.fingerprint()
    }

    func read(_ path: String, limit: Int) throws(SkillFolder.Fault) -> (bytes: [UInt8], size: Int) {
        volume.call()
        return try folder.read(path, limit: limit)
    }

    func listing() -> SkillFolder.Listing {
        volume.call()
        return folder.listing()
    }
}
