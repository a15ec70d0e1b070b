/// One attempt to archive a batch, as a value: summarise, embed, note the rows, write them, move the checkpoint; what to do next.

struct ArchiveAttempt {
    enum Action {
        case summarize(SummaryRequest)
        case embed([String])
        /// Must be durable before the rows are written, so that forgetting knows them.
        case record(rows: [String])
        case upsert([IndexEntry])
        /// Rows of earlier attempts that this one did not write again.
        case removeEarlier(rows: [String])
        case finish(rows: [String], rollingSummary: String)
        /// The session was forgotten, or another took over: these must not stay.
        case removeOwn(rows: [String])
        case giveBack(ArchiveFailure)
        case done(Outcome)
    }

    enum Outcome: Hashable {
        case archived(Checkpoint)
        case abandoned
        case failed(ArchiveFailure)
    }

    /// Turns that become one row.
    private struct Part {
        var suffix: String
        var turns: ArraySlice<StoredTurn>
    }

    private struct Summarized {
        var part: Part
        var summary: BatchSummary
    }

    private enum State {
        /// Parts in order; those of `rest` have no summary yet. Goes to `.embedding`, or to `.givingBack`.
        case summarizing(rest: [Part], done: [Summarized])
        case embedding([Summarized])
        case recording([IndexEntry])
        case upserting([IndexEntry])
        case pruning
        case finishing
        case removing
        case givingBack(ArchiveFailure)
        case ended
    }

    let plan: ArchivePlan
    private let batch: ClaimedBatch
    private var state: State
    private var rows: [String] = []
    private var rolling: String

    init(plan: ArchivePlan, batch: ClaimedBatch) {
        self.plan = plan
        self.batch = batch
        rolling = batch.rollingSummary
        state = .summarizing(
            rest: Self.fitting(Part(suffix: "", turns: batch.turns[...])), done: [])
    }

    mutating func begin() -> Action { nextSummary(at: 0) }

    mutating func summarized(_ summary: BatchSummary, now: Int64) -> Action {
        guard case .summarizing(var rest, var done) = state, !rest.isEmpty else { return .done(.abandoned) }
        let bounded = BatchSummary(
            summary: String(summary.summary.prefix(RollingSummary.maximumCharacters)),
            entities: Array(summary.entities.prefix(64)))
        done.append(Summarized(part: rest.removeFirst(), summary: bounded))
        rolling = RollingSummary.adding(bounded.summary, to: rolling)
        state = .summarizing(rest: rest, done: done)
        return nextSummary(at: now)
    }

    mutating func summaryFailed(_ failure: SummaryFailure, now: Int64) -> Action {
        guard case .summarizing(var rest, let done) = state, let part = rest.first else {
            return .done(.abandoned)
        }
        switch failure {
        case .tooLarge:
            guard let halves = Self.halves(of: part) else {
                return giveBack(
                    "turn \(part.turns.first?.sequence ?? plan.first) alone is too large for the model",
                    at: nil)
            }
            rest.replaceSubrange(0..<1, with: halves)
            state = .summarizing(rest: rest, done: done)
            return nextSummary(at: now)
        case .permanent(let reason): return giveBack(reason, at: nil)
        case .transient(let reason): return failed(reason, now: now)
        }
    }

    mutating func embedded(_ vectors: [[Float]], now: Int64) -> Action {
        guard case .embedding(let summarized) = state, vectors.count == summarized.count else {
            return failed("the embedder returned another number of vectors than it was given texts", now: now)
        }
        let entries = zip(summarized, vectors).map { entry, vector in
            IndexEntry(row: row(entry), vector: vector)
        }
        rows = entries.map(\.row.id)
        state = .recording(entries)
        return .record(rows: rows)
    }

    mutating func recorded(_ stillOurs: Bool) -> Action {
        guard stillOurs, case .recording(let entries) = state else { return end(.abandoned) }
        state = .upserting(entries)
        return .upsert(entries)
    }

    mutating func upserted() -> Action {
        let earlier = batch.rows.filter { !rows.contains($0) }
        state = .pruning
        return earlier.isEmpty ? removedEarlier() : .removeEarlier(rows: earlier)
    }

    mutating func removedEarlier() -> Action {
        state = .finishing
        return .finish(rows: rows, rollingSummary: rolling)
    }

    mutating func finished(_ answer: FinishAnswer) -> Action {
        switch answer {
        case .archived(let checkpoint): return end(.archived(checkpoint))
        case .forgotten: return removeOwn(rows)
        // While another attempt is under way its rows have our names: it will write or remove them.
        case .lost(rows: nil): return end(.abandoned)
        case .lost(let kept?): return removeOwn(rows.filter { !kept.contains($0) })
        }
    }

    mutating func removedOwn() -> Action { end(.abandoned) }

    /// A step failed in a way that may pass.
    mutating func failed(_ reason: String, now: Int64) -> Action {
        if case .givingBack = state { return end(.abandoned) }
        if case .removing = state { return end(.abandoned) }
        return giveBack(reason, at: now + Self.backoff(attempts: batch.attempts + 1))
    }

    mutating func gaveBack() -> Action {
        guard case .givingBack(let failure) = state else { return end(.abandoned) }
        return end(.failed(failure))
    }

    /// Milliseconds until the next attempt: from 2 s, doubled, to 5 minutes.
    static func backoff(attempts: Int) -> Int64 {
        min(2000 << Int64(min(max(attempts - 1, 0), 10)), 300_000)
    }
}

/// Steps between the states.
extension ArchiveAttempt {
    private mutating func nextSummary(at now: Int64) -> Action {
        guard case .summarizing(let rest, let done) = state else { return end(.abandoned) }
        if let part = rest.first {
            return .summarize(
                SummaryRequest(
                    agent: plan.agent,
                    turns: part.turns.map {
                        StoredTurn(sequence: $0.sequence, turn: $0.turn.withoutSkillTexts)
                    }, previousSummary: rolling))
        }
        guard !done.isEmpty else {
            return giveBack("the batch has no turns in the store", at: nil)
        }
        state = .embedding(done)
        return .embed(done.map(\.summary.embeddedText))
    }

    private mutating func giveBack(_ reason: String, at next: Int64?) -> Action {
        let failure = ArchiveFailure(attempts: batch.attempts + 1, nextAttempt: next, reason: reason)
        state = .givingBack(failure)
        return .giveBack(failure)
    }

    private mutating func removeOwn(_ rows: [String]) -> Action {
        guard !rows.isEmpty else { return end(.abandoned) }
        state = .removing
        return .removeOwn(rows: rows)
    }

    private mutating func end(_ outcome: Outcome) -> Action {
        state = .ended
        return .done(outcome)
    }

    private func row(_ entry: Summarized) -> MemoryRow {
        MemoryRow(
            id: plan.batchID + entry.part.suffix, scope: plan.scope, generation: plan.generation,
            agent: plan.agent, firstTurn: entry.part.turns.first?.sequence ?? plan.first,
            lastTurn: entry.part.turns.last?.sequence ?? plan.last,
            time: entry.part.turns.last?.turn.finishedAt ?? 0, summary: entry.summary.summary,
            entities: entry.summary.entities, text: Self.text(of: entry.part.turns))
    }

    /// Splits until each part's text fits a row: what is searched by words must be whole.
    private static func fitting(_ part: Part) -> [Part] {
        let bytes = part.turns.reduce(0) { $0 + $1.turn.searchText.utf8.count + 1 }
        guard bytes > MemoryRow.maximumTextBytes, let halves = halves(of: part) else {
            return part.turns.isEmpty ? [] : [part]
        }
        return halves.flatMap(fitting)
    }

    /// Names come from the cuts alone, so every attempt gives the same turns the same name.
    private static func halves(of part: Part) -> [Part]? {
        guard part.turns.count > 1 else { return nil }
        let middle = part.turns.startIndex + part.turns.count / 2
        let separator = part.suffix.isEmpty ? "/" : ""
        return [
            Part(suffix: part.suffix + separator + "a", turns: part.turns[..<middle]),
            Part(suffix: part.suffix + separator + "b", turns: part.turns[middle...]),
        ]
    }

    private static func text(of turns: ArraySlice<StoredTurn>) -> String {
        let text = turns.map(\.turn.searchText).joined(separator: "\n")
        guard text.utf8.count > MemoryRow.maximumTextBytes else { return text }
        return String(decoding: text.utf8.prefix(MemoryRow.maximumTextBytes), as: UTF8.self)
    }
}
