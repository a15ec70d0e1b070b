/// Owns a node's commit connections: batches of scripts, each followed by one WAIT, apart from everything that WAIT would
/// block.
import NIOCore
import Synchronization

final class CommitLane: Sendable {
    struct Item {
        var call: Call
        var index: Int
        var bytes: ByteBuffer
        /// The bytes begin with ASKING, which has an answer of its own.
        var isAsking: Bool
    }

    private struct State {
        var batching: CommitBatching<Item>
        /// When the timer that is set will fire.
        var timer = NIODeadline.distantFuture
    }

    let links: [Link]
    private let loop: any EventLoop
    private let state: Mutex<State>

    init(links: [Link], loop: any EventLoop, waitingLimit: Int) {
        self.links = links
        self.loop = loop
        state = Mutex(State(batching: CommitBatching(links: links.count, waitingLimit: waitingLimit)))
    }

    /// Commits that wait or run.
    var count: Int { state.withLock { $0.batching.count } }

    /// - Returns: why it was not taken; nil: the call will be answered.
    func submit(
        _ bytes: ByteBuffer, isAsking: Bool, call: Call, index: Int, replicas: Int, deadline: NIODeadline
    ) -> LinkFault? {
        let (action, setsTimer) = state.withLock { state in
            let action = state.batching.add(
                .init(
                    item: Item(call: call, index: index, bytes: bytes, isAsking: isAsking),
                    bytes: bytes.readableBytes, deadline: deadline, replicas: replicas))
            let setsTimer = deadline < state.timer
            if setsTimer { state.timer = deadline }
            return (action, setsTimer)
        }
        if setsTimer { loop.scheduleTask(deadline: deadline) { self.expire() } }
        switch action {
        case .start(let batch): start(batch)
        case .gather: break
        case .refuse: return LinkFault(.overloaded)
        }
        return nil
    }

    /// The batch on this connection has all the answers it will get.
    func ended(on link: Int) {
        if let batch = state.withLock({ $0.batching.ended(on: link) }) { start(batch) }
    }

    /// Ends those that wait; the connections end the others.
    func close(_ fault: LinkFault) {
        for item in state.withLock({ $0.batching.close() }) { item.call.fail(item.index, fault) }
    }

    private func start(_ batch: CommitBatching<Item>.Batch) {
        let commits = CommitBatch(
            batch.commits.map { ($0.item.call, $0.item.index) }, lane: self, link: batch.link)
        let deadline = batch.lastDeadline
        var entries = batch.commits.enumerated().map { index, commit in
            let asking = commit.item.isAsking ? [Link.Machine.Slot(.nobody, deadline: deadline)] : []
            return Link.Entry(
                bytes: commit.item.bytes, slots: asking + [.init(.commit(commits, index), deadline: deadline)]
            )
        }
        var wait = ByteBuffer()
        let timeout = Self.waitMilliseconds(until: deadline, now: .now())
        let isEncoded = CommandEncoding.append(
            ["WAIT", RedisArgument(batch.replicas), RedisArgument(timeout)], to: &wait)
        entries.append(Link.Entry(bytes: wait, slots: [.init(.confirmation(commits), deadline: deadline)]))
        let fault = isEncoded ? links[batch.link].submit(entries) : LinkFault(.tooLarge)
        if let fault { commits.refused(fault) }
    }

    /// Leaves the answer time to arrive before the deadline: a quiet server ends a WAIT up to 100 ms late. Never 0, which
    /// Redis takes for no limit.
    static func waitMilliseconds(until deadline: NIODeadline, now: NIODeadline) -> Int64 {
        let left = (deadline - now).nanoseconds / 1_000_000
        return max(1, left - min(left / 2, 250))
    }

    private func expire() {
        let now = NIODeadline.now()
        let (late, next) = state.withLock { state in
            let late = state.batching.expire(now: now)
            let next = state.batching.earliest
            state.timer = next ?? .distantFuture
            return (late, next)
        }
        if let next { loop.scheduleTask(deadline: next) { self.expire() } }
        for item in late.waiting + late.running { item.call.fail(item.index, LinkFault(.timeout)) }
    }
}

/// The commits that one WAIT confirms. A script's reply is held back until then, an error is told at once.
final class CommitBatch: Sendable {
    private let commits: [(call: Call, index: Int)]
    private let lane: CommitLane
    private let link: Int
    private let replies: Mutex<[RedisValue?]>

    init(_ commits: [(call: Call, index: Int)], lane: CommitLane, link: Int) {
        self.commits = commits
        self.lane = lane
        self.link = link
        replies = Mutex(Array(repeating: nil, count: commits.count))
    }

    func claim(_ index: Int) -> Bool { commits[index].call.claim(commits[index].index) }

    func answered(_ index: Int, _ value: RedisValue) {
        if value.errorCode != nil {
            commits[index].call.answer(commits[index].index, .reply(value, replicas: 0))
        } else {
            replies.withLock { $0[index] = value }
        }
    }

    func failed(_ index: Int, _ fault: LinkFault, mayHaveRun: Bool) {
        commits[index].call.answer(commits[index].index, .failure(fault, mayHaveRun: mayHaveRun))
    }

    func confirmed(_ value: RedisValue) {
        guard case .integer(let count) = value, let replicas = Int(exactly: count) else {
            // UNBLOCKED, say, because the master became a replica: nobody knows who has these commits.
            return lost(LinkFault(value.errorCode == nil ? .malformedReply : .reply, code: value.errorCode))
        }
        for (index, reply) in replies.withLock({ $0 }).enumerated() {
            guard let reply else { continue }
            commits[index].call.answer(commits[index].index, .reply(reply, replicas: replicas))
        }
        lane.ended(on: link)
    }

    /// No answer to WAIT will come; the commits that were answered may have run.
    func lost(_ fault: LinkFault) {
        for (index, reply) in replies.withLock({ $0 }).enumerated() where reply != nil {
            commits[index].call.answer(commits[index].index, .failure(fault, mayHaveRun: true))
        }
        lane.ended(on: link)
    }

    /// Nothing was sent.
    func refused(_ fault: LinkFault) {
        for index in commits.indices { failed(index, fault, mayHaveRun: false) }
        lane.ended(on: link)
    }
}
