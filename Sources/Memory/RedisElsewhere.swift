/// What this worker knows of other workers' writes: what they changed of its sessions and principals is told to it.
import Redis
import Synchronization

final class RedisElsewhere: Sendable {
    /// Principals of which it is known whether L1 has all of theirs; one that falls out is read again.
    private static let principalLimit = 1 << 17

    /// Behind the name of a session whose turns are not touched; scripts write it.
    static let archiveMark = ":archived"

    private struct State {
        var holdings = Holdings(limit: RedisElsewhere.principalLimit)
        var handler: @Sendable (ForeignChange) -> Void = { _ in }
    }

    /// How this process names itself in L2; no process before it had the name.
    let worker: RedisArgument
    /// Where it is told.
    let channel: RedisArgument
    private let fragments = ResidentFragments(bytes: 32 << 20)
    private let state = Mutex(State())

    init(keyspace: RedisKeyspace) {
        var generator = SystemRandomNumberGenerator()
        let name = String(generator.next(), radix: 36)
        worker = RedisArgument(name)
        channel = keyspace.held(by: name)
    }

    var isListening: Bool { state.withLock(\.holdings.isListening) }

    /// - Parameter handler: gets what another process has changed.
    func onChange(_ handler: @escaping @Sendable (ForeignChange) -> Void) {
        state.withLock { $0.handler = handler }
    }

    func receive(_ news: RedisNews) {
        switch news {
        case .listening:
            tell(.any) { $0.began() }
        case .deaf:
            tell(.any) { $0.ended() }
        case .message(let bytes):
            // Anybody who may write to Redis may write to the channel: what is no item says nothing.
            guard var text = String(validating: bytes, as: UTF8.self) else { return }
            let isArchive = text.hasSuffix(Self.archiveMark)
            if isArchive { text.removeLast(Self.archiveMark.count) }
            guard let item = RedisWorkItem(member: text) else { return }
            tell(isArchive ? .archive(item.session) : .session(item.session)) { $0.lost(item.principal) }
            fragments.changed(item.principal)
        }
    }

    private func tell(_ news: ForeignChange, _ change: (inout Holdings) -> Void) {
        let handler = state.withLock { state in
            change(&state.holdings)
            return state.handler
        }
        handler(news)
    }

    struct Mark {
        fileprivate var heard: Holdings.Mark
        fileprivate var fragments: UInt64
    }

    /// To be taken before L2 is asked, and given with what it answered.
    func mark(of principal: Digest128) -> Mark {
        Mark(
            heard: state.withLock { $0.holdings.mark(of: principal) },
            fragments: fragments.mark(of: principal))
    }

    /// Fragments that are known to be those in L2.
    func current(_ scope: Scope, limit: FragmentLimit) -> Fragments? {
        guard state.withLock({ $0.holdings.isOurs(scope.principal) }) else { return nil }
        return fragments.find(scope, limit: limit).0
    }

    /// - Parameters:
    ///   - isWhole: the limits left nothing out.
    ///   - holder: whom L2 named.
    func read(
        _ found: Fragments, _ scope: Scope, limit: FragmentLimit, isWhole: Bool, version: Int64,
        holder: String, since mark: Mark
    ) {
        let isOurs = RedisArgument(holder) == worker
        let continues = state.withLock {
            $0.holdings.read(scope.principal, version: version, isOurs: isOurs, since: mark.heard)
        }
        fragments.keep(
            found, scope, limit: limit, isWhole: isWhole, since: mark.fragments, continues: continues)
    }

    /// A turn of ours is in L2.
    ///
    /// - Parameter sequence: its place where it was appended; nil: it took another's.
    func committed(_ scope: Scope, sequence: Int?, from before: Int64, to after: Int64, since mark: Mark) {
        let continues = state.withLock {
            $0.holdings.wrote(scope.principal, from: before, to: after, since: mark.heard)
        }
        if continues, let sequence {
            fragments.appended(scope, sequence: sequence)
        } else {
            fragments.changed(scope.principal)
        }
    }

    /// A batch was archived by us.
    ///
    /// - Parameter isParked: whether another batch of the session never will be.
    func archived(
        _ plan: ArchivePlan, generation: Int64, from before: Int64, to after: Int64, isParked: Bool,
        since mark: Mark
    ) {
        let principal = plan.scope.principal
        let continues = state.withLock {
            $0.holdings.wrote(principal, from: before, to: after, since: mark.heard)
        }
        if continues, !isParked {
            fragments.archived(plan, generation: generation)
        } else {
            fragments.changed(principal)
        }
    }

    /// Something of the principal may have changed in L2.
    func lost(_ principal: Digest128) {
        state.withLock { $0.holdings.lost(principal) }
        fragments.changed(principal)
    }
}
