import Testing

@testable import Memory

@Suite struct InterleavingTests {
    /// What a client saw of one session: the turns that were acknowledged since it was last forgotten.
    private struct Ledger {
        var acknowledged: [String] = []
        var unconfirmed: String?
    }

    @Test(
        "Any order of turns, retries, archiving, forgetting, evictions, sweeps and kills agrees with the clients' ledgers",
        arguments: 1...12)
    func randomOrder(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        var test = try TestMemory(
            configuration: .patient.with {
                $0.bufferRounds = 3
                $0.maxSessionBytes = 6000
            })
        let scopes = (0..<4).map { Scope.of("user\($0 % 2)", "session \($0)") }
        var ledgers = [Int: Ledger]()
        var pending: [ArchivePlan] = []
        var number = 0
        for _ in 0..<160 {
            let chosen = Int.random(in: 0..<scopes.count, using: &generator)
            let scope = scopes[chosen]
            switch Int.random(in: 0..<20, using: &generator) {
            case 0..<10:
                number += 1
                let text = "saying \(number)"
                let outcome = try await test.turn(scope, text, id: text, archive: false)
                #expect(outcome.sequence == ledgers[chosen, default: Ledger()].acknowledged.count + 1)
                ledgers[chosen, default: Ledger()].acknowledged.append(text)
                if let plan = outcome.plan { pending.append(plan) }
            case 10..<12:
                guard let known = ledgers[chosen]?.acknowledged.randomElement(using: &generator) else {
                    continue
                }
                #expect(try await test.turn(scope, known, id: known, archive: false).duplicate)
            case 12..<14:
                guard let plan = pending.randomElement(using: &generator) else { continue }
                await test.memory.archive(plan, summarize: TestModel.summarize)
            case 14: await test.memory.maintain(summarize: TestModel.summarize)
            case 15: try await test.memory.release(scope)
            case 16:
                #expect(try await test.memory.forget(scope) == .done)
                ledgers[chosen] = nil
            case 17: test.memory.evictIdle()
            case 18:
                let other = test.beside()
                number += 1
                let text = "saying \(number)"
                let held = try await other.open(scope)
                _ = try await held.commit(.said(text, id: text, at: test.clock.tick()))
                held.end()
                ledgers[chosen, default: Ledger()].acknowledged.append(text)
                // Our warm copy is behind now; the next turn must notice by itself.
                number += 1
                let ours = "saying \(number)"
                _ = try await test.turn(scope, ours, id: ours, archive: false)
                ledgers[chosen, default: Ledger()].acknowledged.append(ours)
            default: test = try test.reopenedAfterKill()
            }
        }
        await test.maintainUntilDone()
        for (index, scope) in scopes.enumerated() {
            let expected = ledgers[index]?.acknowledged ?? []
            let history = try await test.memory.history(scope, limit: 1000)
            #expect(history.map(\.turn.said) == expected)
            #expect(history.map(\.sequence) == Array(1...(expected.count + 1)).dropLast())
            let rows = try await test.rows(scope)
            #expect(rows.count == expected.count / 3, "each full batch is one memory")
            if let last = expected.last {
                let found = await test.memory.recall(RecallQuery(scope: scope, text: last, topK: 50))
                #expect(found.memories.contains { $0.text.contains(last) || $0.excerpt.contains(last) })
            }
            let view = try await test.memory.open(scope)
            #expect(view.view.context.map(\.turn.said) == expected.suffix(view.view.context.count))
            view.end()
        }
    }

    @Test("Two processes that share sessions keep every acknowledged turn once, and archive every batch once")
    func twoProcesses() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 4 })
        let memories = [test.memory, test.beside()]
        let scopes = (0..<3).map { Scope.of("ann", "s\($0)") }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<2 {
                for scope in scopes {
                    group.addTask {
                        for number in 1...20 {
                            let held = try await memories[worker].open(scope)
                            defer { held.end() }
                            let turn = Turn.said(
                                "\(worker)-\(number)", id: "\(worker)-\(number)", at: test.clock.tick())
                            let outcome = try await held.commit(turn)
                            if let plan = outcome.plan {
                                await memories[worker].archive(plan, summarize: TestModel.summarize)
                            }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        await test.maintainUntilDone()
        for scope in scopes {
            let history = try await test.memory.history(scope, limit: 100)
            for worker in 0..<2 {
                let theirs = history.map(\.turn.said).filter { $0.hasPrefix("\(worker)-") }
                #expect(theirs == (1...20).map { "\(worker)-\($0)" })
            }
            #expect(history.map(\.sequence) == Array(1...40))
            #expect(try await test.rows(scope).count == 10)
        }
    }
}
