import GRDB
import Synchronization
import Testing

@testable import Memory

@Suite struct ActivatedSkillTests {
    private let scope = Scope.of("ann", "s")

    /// A turn that read a skill's guide and a file of it.
    private func reading(_ skill: String, id: String = TurnID.mint().value, ending: Turn.Ending = .complete)
        -> Turn
    {
        var turn = Turn.said("refund order 17", id: id, ending: ending)
        turn.messages.insert(
            contentsOf: [
                Message(
                    role: .assistant, content: "Let me look.",
                    toolCalls: [ToolCall(id: "1", name: "activate_skill", arguments: "{}")]),
                Message(
                    role: .tool, content: "{\"guide\":\"rhinoceros procedure\"}", toolCallID: "1",
                    toolOutcome: .done, skillText: SkillText(skill: skill, version: "v")),
                Message(
                    role: .tool, content: "rhinoceros appendix", toolCallID: "2", toolOutcome: .done,
                    skillText: SkillText(skill: skill, path: "a.md")),
                Message(role: .tool, content: "parcel 17", toolCallID: "3", toolOutcome: .done),
            ], at: 1)
        turn.inputCount = 1
        return turn
    }

    private func commit(_ test: TestMemory, _ turn: Turn) async throws -> CommitOutcome {
        let held = try await test.memory.open(scope)
        defer { held.end() }
        return try await held.commit(turn)
    }

    @Test(
        "What a session has activated is in its checkpoint, in order and once, in every tier and after a kill"
    )
    func tiers() async throws {
        let test = try TestMemory()
        for skill in ["refunds", "returns", "refunds"] { _ = try await commit(test, reading(skill)) }
        try await test.turn(scope, "no skill")
        #expect(try await test.memory.describe(scope)?.activatedSkills == ["refunds", "returns"])
        try await test.memory.release(scope)
        let held = try await test.memory.open(scope)
        #expect(held.tier == .l2 && held.view.activatedSkills == ["refunds", "returns"])
        #expect(held.view.context[0].turn.messages[2].skillText == SkillText(skill: "refunds", version: "v"))
        held.end()
        let after = try test.reopenedAfterKill()
        #expect(try await after.memory.describe(scope)?.activatedSkills == ["refunds", "returns"])
    }

    @Test("It stays when the turns that read it are archived and gone from the context")
    func archived() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        _ = try await commit(test, reading("refunds"))
        for number in 1...9 { try await test.turn(scope, "turn \(number)") }
        let held = try await test.memory.open(scope)
        defer { held.end() }
        #expect(held.view.contextStart > 1 && held.view.archivedThrough == 10)
        #expect(held.view.activatedSkills == ["refunds"])
    }

    @Test("A turn that is not over yet counts, and its end keeps what it has activated")
    func running() async throws {
        let test = try TestMemory()
        _ = try await commit(test, reading("refunds", id: "t", ending: .running))
        let after = try test.reopenedAfterKill()
        #expect(try await after.memory.describe(scope)?.activatedSkills == ["refunds"])
        let other = Turn.said("refund order 17", id: "t")
        let held = try await after.memory.open(scope)
        defer { held.end() }
        _ = try await held.commit(other)
        #expect(held.view.activatedSkills == ["refunds"])
    }

    @Test("Two writers' skills are joined") func joined() async throws {
        let test = try TestMemory()
        let other = test.beside()
        try await test.turn(scope, "zero", id: "0")
        let here = try await test.memory.open(scope)
        let there = try await other.open(scope)
        _ = try await there.commit(reading("returns"))
        _ = try await here.commit(reading("refunds"))
        #expect(here.view.activatedSkills == ["returns", "refunds"])
        here.end()
        there.end()
        #expect(try await test.memory.describe(scope)?.activatedSkills == ["returns", "refunds"])
    }

    @Test("Of more than are kept the oldest go") func bounded() async throws {
        let test = try TestMemory()
        var turn = reading("s0")
        for number in 1...70 {
            turn.messages.append(
                Message(role: .tool, content: "x", toolCallID: "x", skillText: SkillText(skill: "s\(number)"))
            )
        }
        _ = try await commit(test, turn)
        _ = try await commit(test, reading("last"))
        let kept = try await test.memory.describe(scope)?.activatedSkills
        #expect(kept == (8...70).map { "s\($0)" } + ["last"])
    }

    @Test("Forgetting a session forgets its skills") func forgotten() async throws {
        let test = try TestMemory()
        _ = try await commit(test, reading("refunds"))
        _ = try await test.memory.forget(scope)
        try await test.turn(scope, "anew")
        #expect(try await test.memory.describe(scope)?.activatedSkills == [])
    }

    @Test("No summary is made of skills' texts, no search finds them, and no row holds them")
    func unsummarised() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        let asked = Mutex<[Message]>([])
        _ = try await commit(test, reading("refunds"))
        let query = RecallQuery(scope: .of("ann", "other"), text: "rhinoceros procedure")
        #expect(await test.memory.recall(query).memories.isEmpty)
        // The turn itself is found, without the skill's words.
        let found = await test.memory.recall(RecallQuery(scope: .of("ann", "other"), text: "refund order 17"))
        #expect(found.memories.first?.text.contains("parcel 17") == true)
        #expect(found.memories.first?.text.contains("rhinoceros") == false)
        try await test.turn(scope, "thanks") { request in
            asked.withLock { $0 += request.turns.flatMap(\.turn.messages) }
            return try await TestModel.summarize(request)
        }
        let contents = asked.withLock { $0.map(\.content) }
        #expect(contents.contains("parcel 17") && !contents.contains { $0.contains("rhinoceros") })
        #expect(try await test.rows(scope).count == 1)
        let rows = try await test.store.index.search(
            scope, IndexQuery(vector: TestModel.vector("refund order"), text: "refund order", limit: 5))
        #expect(rows.hits.first?.row.text.contains("parcel 17") == true)
        #expect(rows.hits.first?.row.text.contains("rhinoceros") == false)
        // The history has them still.
        let history = try await test.memory.history(scope, limit: 10)
        #expect(history[0].turn.messages.contains { $0.content.contains("rhinoceros") })
    }

    @Test(
        "A file of the version before has no skills, and takes them",
        .enabled(if: TestStores.current.isEmbedded))
    func migration() async throws {
        let directory = try TemporaryDirectory()
        let first = try TestMemory(directory: directory)
        try await first.turn(scope, "before")
        try await first.store.write { db in
            try db.execute(sql: "ALTER TABLE session DROP COLUMN activated_skills")
            try db.execute(sql: "DELETE FROM grdb_migrations WHERE identifier = '4'")
        }
        await first.memory.close()
        let second = try TestMemory(directory: directory)
        #expect(try await second.memory.describe(scope)?.activatedSkills == [])
        _ = try await commit(second, reading("refunds"))
        #expect(try await second.memory.describe(scope)?.activatedSkills == ["refunds"])
        #expect(try await second.memory.describe(scope)?.turnCount == 2)
        await second.memory.close()
    }
}
