/// What recall last read of the principals' un-archived turns, held in L1 until one of their other sessions changes.
import Synchronization

/// Whether others write too is the owner's to know.
final class ResidentFragments: Sendable {
    /// Sessions of one principal that may have an answer here.
    private static let sessionLimit = 16

    private struct Answer {
        var limit: FragmentLimit
        var fragments: Fragments
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
            return (answer?.limit == limit ? answer?.fragments : nil, cache.mark(of: scope.principal))
        }
    }

    func mark(of principal: Digest128) -> UInt64 { cache.withLock { $0.mark(of: principal) } }

    /// - Parameter continues: whether what is held of the principal was read when L2 was as it is now.
    func keep(
        _ fragments: Fragments, _ scope: Scope, limit: FragmentLimit, since mark: UInt64,
        continues: Bool = true
    ) {
        cache.withLock { cache in
            cache.keep(for: scope.principal, since: mark, beginning: [:]) { answers in
                if !continues || answers.count >= Self.sessionLimit { answers = [:] }
                answers[scope.session] = Answer(limit: limit, fragments: fragments)
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
