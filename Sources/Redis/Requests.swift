/// Carries commands through: route, send, judge the answers, again where that helps, until each has a result.
import NIOCore
import Synchronization

extension RedisClient {
    typealias Outcome = (value: RedisValue, replicas: Int)

    func perform(_ request: Request, _ deadline: Duration?) async throws(RedisError) -> Outcome {
        try await perform([request], deadline)[0].get()
    }

    /// - Returns: a result for each request, in their order.
    func perform(_ requests: [Request], _ limit: Duration?) async -> [Result<Outcome, RedisError>] {
        let start = NIODeadline.now()
        let deadline = start + TimeAmount(limit ?? configuration.commandDeadline)
        var progress = requests.map {
            RequestProgress($0, start: start, deadline: deadline, maxRedirects: configuration.maxRedirects)
        }
        var results: [Result<Outcome, RedisError>?] = Array(repeating: nil, count: requests.count)
        var open = Array(requests.indices)
        var generator = SystemRandomNumberGenerator()
        await waitForTopology(until: deadline)
        while !open.isEmpty {
            let (call, nodes) = submit(open, progress, deadline)
            let answers = await call.answers()
            let now = NIODeadline.now()
            var again: [Int] = []
            var pause = Duration.zero
            for (place, index) in open.enumerated() {
                count(answers[place])
                switch progress[index].judge(answers[place], node: nodes[place], now: now, using: &generator)
                {
                case .done(let value, let replicas): results[index] = .success((value, replicas))
                case .fail(let error): results[index] = .failure(error)
                case .again(let delay, let news):
                    again.append(index)
                    pause = max(pause, delay)
                    counters.counters.retries.add(delay > .zero ? 1 : 0, ordering: .relaxed)
                    if let news { learn(news) }
                }
            }
            open = again
            guard pause > .zero, !open.isEmpty else { continue }
            do { try await Task.sleep(for: pause) } catch {
                for index in open {
                    results[index] = .failure(progress[index].error(LinkFault(.cancelled), nil))
                }
                open = []
            }
        }
        // Every index was open until it got its result.
        return zip(results, progress).map { $0 ?? .failure($1.error(LinkFault(.closed), nil)) }
    }

    /// Hands what is open to its nodes, what goes to one node as one piece.
    private func submit(
        _ open: [Int], _ progress: [RequestProgress], _ deadline: NIODeadline
    ) -> (Call, [RedisAddress?]) {
        struct Piece {
            var node: RedisNode
            var bytes = ByteBuffer()
            var slots: [Link.Machine.Slot] = []
            var places: [Int] = []
        }
        let call = Call(count: open.count)
        var nodes: [RedisAddress?] = Array(repeating: nil, count: open.count)
        var pieces: [Piece] = []
        for (place, index) in open.enumerated() {
            let this = progress[index]
            let arguments = this.request.arguments(usesSource: this.usesSource)
            guard CommandEncoding.size(of: arguments) <= configuration.maxInFlightBytesPerConnection else {
                call.fail(place, LinkFault(.tooLarge))
                continue
            }
            let node: RedisNode
            switch route(this) {
            case .success(let found): node = found
            case .failure(let fault):
                call.fail(place, fault)
                continue
            }
            nodes[place] = node.address
            counters.counters.commands.add(1, ordering: .relaxed)
            if let replicas = this.request.replicas {
                submit(arguments, this, replicas, to: node, call, place)
                continue
            }
            var piece = pieces.firstIndex { $0.node === node } ?? pieces.count
            if piece == pieces.count {
                pieces.append(Piece(node: node))
                piece = pieces.count - 1
            }
            if this.asking != nil {
                guard CommandEncoding.append(["ASKING"], to: &pieces[piece].bytes) else { continue }
                pieces[piece].slots.append(.init(.nobody, deadline: deadline))
            }
            guard CommandEncoding.append(arguments, to: &pieces[piece].bytes) else {
                call.fail(place, LinkFault(.tooLarge))
                continue
            }
            pieces[piece].slots.append(.init(.call(call, place), deadline: deadline))
            pieces[piece].places.append(place)
        }
        for piece in pieces {
            guard let fault = piece.node.submit(Link.Entry(bytes: piece.bytes, slots: piece.slots)) else {
                continue
            }
            for place in piece.places { call.fail(place, fault) }
        }
        return (call, nodes)
    }

    private func submit(
        _ arguments: [RedisArgument], _ this: RequestProgress, _ replicas: Int, to node: RedisNode,
        _ call: Call,
        _ place: Int
    ) {
        var bytes = ByteBuffer()
        var isEncoded = true
        // ASKING belongs to the next command of its connection only, so it travels in the commit's own entry.
        let isAsking = this.asking != nil
        if isAsking { isEncoded = CommandEncoding.append(["ASKING"], to: &bytes) }
        isEncoded = CommandEncoding.append(arguments, to: &bytes) && isEncoded
        let fault =
            isEncoded
            ? node.lane.submit(
                bytes, isAsking: isAsking, call: call, index: place, replicas: replicas,
                deadline: this.deadline)
            : LinkFault(.tooLarge)
        if let fault { call.fail(place, fault) }
    }

    private func route(_ this: RequestProgress) -> Result<RedisNode, LinkFault> {
        state.withLock { state in
            if state.isClosed { return .failure(LinkFault(.closed)) }
            guard state.topology.isKnown else { return .failure(state.fault ?? LinkFault(.unavailable)) }
            if let address = this.asking { return .success(node(address, &state)) }
            // Of a slot that nobody is known to serve, any node knows more.
            if let slot = this.request.slot, let address = state.topology.map[slot] {
                return .success(node(address, &state))
            }
            let masters = state.topology.masters
            guard !masters.isEmpty else { return .failure(LinkFault(.unavailable)) }
            state.turn &+= 1
            return .success(node(masters[Int(UInt(bitPattern: state.turn) % UInt(masters.count))], &state))
        }
    }

    /// The node of an address, which begins to connect where it is new.
    func node(_ address: RedisAddress, _ state: inout State) -> RedisNode {
        if let node = state.nodes[address] { return node }
        let node = RedisNode(address, group: group, settings: settings)
        state.nodes[address] = node
        node.start()
        return node
    }

    /// Returns when something is known of the servers, when that failed, or when the time is up.
    func waitForTopology(until deadline: NIODeadline) async {
        while NIODeadline.now() < deadline, !Task.isCancelled {
            let isSettled = state.withLock { $0.topology.isKnown || $0.fault != nil || $0.isClosed }
            if isSettled { return }
            // Throws where the task is cancelled, which the call finds out itself.
            do { try await Task.sleep(for: .milliseconds(2)) } catch { return }
        }
    }

    private func learn(_ news: RequestProgress.News) {
        if case .moved(let slot, let address) = news {
            state.withLock { state in
                guard !state.isClosed else { return }
                state.topology.move(slot, to: address)
            }
        }
        refreshes.wish.yield()
    }

    private func count(_ answer: Call.Answer) {
        switch answer {
        case .reply(.error(let text), _) where text.hasPrefix("MOVED ") || text.hasPrefix("ASK "):
            counters.counters.redirects.add(1, ordering: .relaxed)
        case .failure(let fault, _) where fault.kind == .timeout:
            counters.counters.timeouts.add(1, ordering: .relaxed)
        case .failure(let fault, _) where fault.kind == .overloaded:
            counters.counters.overloads.add(1, ordering: .relaxed)
        default: break
        }
    }
}
