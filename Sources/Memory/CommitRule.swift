/// Decides what a commit does to a session: the compare-and-append that every L2 store must follow.

public enum CommitDecision: Hashable, Sendable {
    /// Append the turn as the checkpoint's last one; write the plan where there is one.
    case append(Checkpoint, plan: ArchivePlan?)
    /// The turn takes the place of an unfinished one of the same id; a claim on its batch is void. Write the plan where there
    /// is one.
    case replace(sequence: Int, Checkpoint, plan: ArchivePlan?)
    case duplicate(sequence: Int)
    case stale
    case forgotten
}

public enum CommitRule {
    /// - Parameters:
    ///   - stored: the session's checkpoint in the store; one without turns where there is none.
    ///   - existing: the place and ending of the turn that has the request's turn id.
    public static func decide(
        _ request: CommitRequest, stored: Checkpoint, existing: (sequence: Int, ending: Turn.Ending)?
    ) -> CommitDecision {
        guard stored.generation <= request.known.generation else { return .forgotten }
        if let existing {
            guard existing.ending != .complete, existing.sequence > stored.archivedThrough else {
                return .duplicate(sequence: existing.sequence)
            }
            var after = stored
            after.lastTurnAt = request.now
            if existing.sequence == stored.turnCount { after.activeAgent = request.turn.agent }
            after.activatedSkills = ActivatedSkills.adding(
                request.turn.activatedSkills, to: after.activatedSkills)
            let plan = plan(request, &after)
            return .replace(sequence: existing.sequence, after, plan: plan)
        }
        guard stored.lastTurnID == request.known.lastTurnID else { return .stale }
        var after = stored
        if stored.turnCount == 0 { after.createdAt = request.now }
        after.generation = request.known.generation
        after.turnCount += 1
        after.lastTurnID = request.turn.id
        after.lastTurnAt = request.now
        after.activeAgent = request.turn.agent
        after.activatedSkills = ActivatedSkills.adding(
            request.turn.activatedSkills, to: after.activatedSkills)
        let plan = plan(request, &after)
        return .append(after, plan: plan)
    }

    /// The plan that is due after a commit. A turn that goes on is not to be archived as it is.
    private static func plan(_ request: CommitRequest, _ after: inout Checkpoint) -> ArchivePlan? {
        guard request.turn.ending.isOver,
            after.turnCount - after.plannedThrough >= request.policy.rounds
        else { return nil }
        let plan = ArchivePlan(
            scope: request.scope, agent: after.activeAgent, first: after.plannedThrough + 1,
            last: after.turnCount, generation: after.generation, createdAt: after.createdAt)
        after.plannedThrough = after.turnCount
        return plan
    }
}

/// Summaries of the last batches, joined: what stands in a prompt for the turns that left it.
public enum RollingSummary {
    public static let maximumCharacters = 4000

    /// Adds a batch's summary; the oldest paragraphs go where it gets too long.
    public static func adding(_ summary: String, to rolling: String) -> String {
        let added = String(summary.prefix(maximumCharacters))
        var parts = (rolling + "\n\n" + added).split(separator: "\n\n", omittingEmptySubsequences: true)[...]
        var length = parts.reduce(0) { $0 + $1.count + 2 } - 2
        while length > maximumCharacters, let first = parts.popFirst() {
            length -= first.count + 2
        }
        return parts.joined(separator: "\n\n")
    }
}

extension SessionView {
    /// Takes over what a commit answered; false where the turn does not follow what is here, so that it must be loaded.
    mutating func apply(_ stored: StoredTurn, checkpoint answered: Checkpoint, contextLimit: Int) -> Bool {
        let isAppend = stored.sequence == checkpoint.turnCount + 1 && answered.turnCount == stored.sequence
        let isReplacement =
            stored.sequence <= checkpoint.turnCount && answered.turnCount == checkpoint.turnCount
        guard answered.generation == checkpoint.generation, isAppend || isReplacement else { return false }
        let before = checkpoint
        checkpoint = answered
        if before.archivedThrough > answered.archivedThrough { keepArchive(of: before) }
        if isAppend {
            context.append(stored)
        } else if let index = context.firstIndex(where: { $0.sequence == stored.sequence }) {
            context[index] = stored
        }
        dropBeforeContextStart(limit: contextLimit)
        return true
    }

    /// Takes over that a batch was archived.
    mutating func archived(_ answered: Checkpoint, contextLimit: Int) {
        guard answered.generation == checkpoint.generation,
            answered.archivedThrough > checkpoint.archivedThrough
        else { return }
        keepArchive(of: answered)
        dropBeforeContextStart(limit: contextLimit)
    }

    private mutating func keepArchive(of other: Checkpoint) {
        checkpoint.archivedFirst = other.archivedFirst
        checkpoint.archivedThrough = other.archivedThrough
        checkpoint.plannedThrough = max(checkpoint.plannedThrough, other.archivedThrough)
        checkpoint.rollingSummary = other.rollingSummary
    }

    private mutating func dropBeforeContextStart(limit: Int) {
        let start = checkpoint.contextStart(limit: limit)
        let keep = context.firstIndex { $0.sequence >= start } ?? context.endIndex
        if keep > 0 { context.removeFirst(keep) }
    }

    /// Bytes that the session's content takes in memory, nearly.
    var estimatedBytes: Int {
        context.reduce(checkpoint.rollingSummary.utf8.count + 128) { $0 + $1.turn.estimatedBytes }
    }
}

extension Turn {
    /// Bytes that the turn takes in memory, nearly.
    var estimatedBytes: Int {
        messages.reduce(192 + id.value.utf8.count) { sum, message in
            let calls = message.toolCalls ?? []
            return calls.reduce(sum + message.content.utf8.count + 96) {
                $0 + $1.arguments.utf8.count + $1.name.utf8.count + $1.id.utf8.count + 64
            }
        }
    }
}
