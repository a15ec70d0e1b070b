/// Keeps what is known of the servers fresh, for as long as the client runs.
import Logging
import NIOCore

extension RedisClient {
    /// How long one node may take to say what it knows of the cluster.
    private static var askDeadline: Duration { .seconds(1) }
    /// Redirections come in bursts; one answer serves them all.
    private static var spacing: Duration { .milliseconds(50) }

    /// Connects and keeps the topology; the other calls need it to be running. Returns when its task is cancelled or the
    /// client is closed, with every connection closed.
    public func run() async {
        let isFirst = state.withLock { state in
            defer { state.isRunning = true }
            return !state.isRunning && !state.isClosed
        }
        guard isFirst else { return }
        refreshes.wish.yield()
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await self.wishRegularly() }
            await self.refreshAsWished()
            tasks.cancelAll()
        }
        await close()
    }

    private func wishRegularly() async {
        while !Task.isCancelled {
            // Throws where the client ends.
            do { try await Task.sleep(for: configuration.topologyInterval) } catch { return }
            refreshes.wish.yield()
        }
    }

    private func refreshAsWished() async {
        let backOff = BackOff(first: configuration.reconnectDelay, limit: configuration.maxReconnectDelay)
        var generator = SystemRandomNumberGenerator()
        var failures = 0
        for await _ in refreshes.stream {
            let fault = await refresh(using: &generator)
            state.withLock { $0.fault = fault }
            if let fault {
                failures += 1
                if failures == 1 {
                    logger.warning(
                        "nobody says how Redis is laid out; asking again",
                        metadata: ["fault": "\(fault.kind)"])
                }
                refreshes.wish.yield()
            } else {
                failures = 0
            }
            let pause = max(Self.spacing, backOff.delay(after: failures, using: &generator))
            // Throws where the client ends.
            do { try await Task.sleep(for: pause) } catch { return }
        }
    }

    /// - Returns: why nobody could be asked; nil: somebody answered.
    private func refresh(using generator: inout some RandomNumberGenerator) async -> LinkFault? {
        switch configuration.mode {
        case .standalone: return await findMaster()
        case .cluster:
            let (sources, seeds) = (state.withLock { $0.topology }, configuration.addresses)
            var last = LinkFault(.unavailable)
            for source in sources.sources(seeds: seeds, using: &generator) {
                guard !Task.isCancelled else { return nil }
                let mark = state.withLock { $0.topology.mark() }
                switch await askCluster(source) {
                case .success(let answer):
                    if apply(answer, mark) { return nil }
                case .failure(let fault): last = fault
                }
            }
            return last
        }
    }

    private func askCluster(_ source: RedisAddress) async -> Result<ClusterAnswer, LinkFault> {
        let replies = await ask(source, [["CLUSTER", "INFO"], ["CLUSTER", "SHARDS"]], Self.askDeadline)
        guard case .reply(let info, _) = replies[0], case .reply(let shards, _) = replies[1] else {
            return .failure(Self.fault(replies))
        }
        var answer = ClusterAnswer.shards(shards, asked: source, usesTLS: configuration.tls != nil)
        if answer == nil {
            // Before 7.0 there is no CLUSTER SHARDS.
            let replies = await ask(source, [["CLUSTER", "SLOTS"]], Self.askDeadline)
            guard case .reply(let slots, _) = replies[0] else { return .failure(Self.fault(replies)) }
            answer = ClusterAnswer.slots(slots, asked: source)
            if answer == nil {
                return .failure(
                    LinkFault(slots.errorCode == nil ? .malformedReply : .reply, code: slots.errorCode))
            }
        }
        guard var answer else { return .failure(LinkFault(.malformedReply)) }
        answer.read(info: info)
        return .success(answer)
    }

    /// - Returns: false where the answer is not to be believed.
    private func apply(_ answer: ClusterAnswer, _ mark: ClusterTopology.Mark) -> Bool {
        let gone: [RedisNode]? = state.withLock { state in
            guard !state.isClosed, case .apply = state.topology.apply(answer, askedAt: mark) else {
                return nil
            }
            for address in state.topology.masters { _ = node(address, &state) }
            return dropStrangers(&state)
        }
        for node in gone ?? [] { node.retire() }
        return gone != nil
    }

    /// Of several addresses the one whose ROLE is master; of one, that one, which may be down for now.
    private func findMaster() async -> LinkFault? {
        guard let first = configuration.addresses.first else { return LinkFault(.unavailable) }
        var master = configuration.addresses.count == 1 ? first : nil
        var last = LinkFault(.unavailable)
        for address in configuration.addresses where master == nil {
            let replies = await ask(address, [["ROLE"]], Self.askDeadline)
            guard case .reply(let role, _) = replies[0] else {
                last = Self.fault(replies)
                continue
            }
            if role.array?.first?.string == "master" { master = address }
        }
        guard let master else { return last }
        let gone = state.withLock { state -> [RedisNode] in
            guard !state.isClosed else { return [] }
            _ = state.topology.settle(on: master)
            _ = node(master, &state)
            return dropStrangers(&state)
        }
        for node in gone { node.retire() }
        return nil
    }

    private func dropStrangers(_ state: inout State) -> [RedisNode] {
        let gone = state.nodes.filter { !state.topology.masters.contains($0.key) }
        for address in gone.keys { state.nodes[address] = nil }
        return Array(gone.values)
    }

    /// Asks one node, whatever it serves.
    func ask(
        _ address: RedisAddress, _ commands: [[RedisArgument]], _ limit: Duration
    ) async -> [Call.Answer] {
        let deadline = NIODeadline.now() + TimeAmount(limit)
        let call = Call(count: commands.count)
        let node: RedisNode? = state.withLock { $0.isClosed ? nil : self.node(address, &$0) }
        var entry = Link.Entry(bytes: ByteBuffer(), slots: [])
        for (index, command) in commands.enumerated() where CommandEncoding.append(command, to: &entry.bytes)
        {
            entry.slots.append(.init(.call(call, index), deadline: deadline))
        }
        let fault = entry.slots.count == commands.count ? node?.submit(entry) : LinkFault(.tooLarge)
        if node == nil || fault != nil {
            for index in commands.indices { call.fail(index, fault ?? LinkFault(.closed)) }
        }
        return await call.answers()
    }

    private static func fault(_ answers: [Call.Answer]) -> LinkFault {
        for case .failure(let fault, _) in answers { return fault }
        return LinkFault(.unavailable)
    }
}
