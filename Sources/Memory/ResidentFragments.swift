/// What recall last read of the principals' un-archived turns, held in L1 until one of their other sessions changes.
import Synchronization

/// Whether others write too is the owner's to know.
final class ResidentFragments: Sendable {
    /// Sessions of one principal that may have an answer here.
    private static let sessionLimit = 16

    private struct Answer {
        var limit: FragmentLimit
        var fragments: Fragments
        /// The limits left nothing out.
        var isWhole: Bool
        /// It is the same where the own session's turns are wanted up to here: those between are archived.
        var ownTurnsBefore: Int

        func serves(_ other: FragmentLimit) -> Bool {
            var same = other
            same.ownTurnsBefore = limit.ownTurnsBefore
            let start = limit.ownTurnsBefore
            return same == limit && start <= other.ownTurnsBefore
                && other.ownTurnsBefore <= ownTurnsBefore
        }
    }

    /// Of each principal the answers by the session that asked.
    private let cache: Mutex<CoherentCache<[Digest128: Answer]>>

    init(bytes: Int) {
        cache = Mutex(CoherentCache(limit: bytes))
    }

    /// What is held, or nil and the mark to give to `keep`.
    func find(_ scope: Scope, limit: FragmentLimit) -> (Fragments?, mark: UInt64) {
        cache.withLock { cache in
            let answer = cache.value(for: scope.principal)?[scope.session]
            let serves = answer?.serves(limit) ?? false
            return (serves ? answer?.fragments : nil, cache.mark(of: scope.principal))
        }
    }

    func mark(of principal: Digest128) -> UInt64 { cache.withLock { $0.mark(of: principal) } }

    /// - Parameters:
    ///   - isWhole: whether the limits are known to have left nothing out.
    ///   - continues: whether what is held of the principal was read when L2 was as it is now.
    func keep(
        _ fragments: Fragments, _ scope: Scope, limit: FragmentLimit, isWhole: Bool = false,
        since mark: UInt64, continues: Bool = true
    ) {
        cache.withLock { cache in
            cache.keep(for: scope.principal, since: mark, beginning: [:]) { answers in
                if !continues || answers.count >= Self.sessionLimit { answers = [:] }
                answers[scope.session] = Answer(
                    limit: limit, fragments: fragments, isWhole: isWhole, ownTurnsBefore: limit.ownTurnsBefore
                )
                return Self.bytes(answers)
            }
        }
    }

    /// A turn was appended. It is none of its own session's fragments where that has it in its context.
    func appended(_ scope: Scope, sequence: Int) {
        cache.withLock { cache in
            cache.changed(scope.principal) { answers in
                answers = answers.filter { session, answer in
                    session == scope.session && sequence >= answer.limit.ownTurnsBefore
                }
                return answers.isEmpty ? nil : Self.bytes(answers)
            }
        }
    }

    /// A batch was archived, and none of its session is parked. What the limits had left out may come in then.
    func archived(_ plan: ArchivePlan, generation: Int64) {
        let session = plan.scope.session
        cache.withLock { cache in
            cache.changed(plan.scope.principal) { answers in
                answers = answers.compactMapValues { answer in
                    guard answer.isWhole else { return nil }
                    var answer = answer
                    answer.fragments.archiveGeneration = generation
                    answer.fragments.turns.removeAll {
                        $0.session == session && (plan.first...plan.last).contains($0.stored.sequence)
                    }
                    return answer
                }
                // Of the own session the turns from the start of its context on were left aside; they are archived up to here.
                if let own = answers[session]?.ownTurnsBefore {
                    answers[session]?.ownTurnsBefore = max(own, plan.last + 1)
                }
                return answers.isEmpty ? nil : Self.bytes(answers)
            }
        }
    }

    /// Turns were archived, forgotten or replaced.
    func changed(_ principal: Digest128) {
        cache.withLock { $0.changed(principal) }
    }

    private static func bytes(_ answers: [Digest128: Answer]) -> Int {
        answers.values.reduce(0) { sum, answer in
            answer.fragments.turns.reduce(sum + 256) { $0 + $1.stored.turn.estimatedBytes }
        }
    }
}
