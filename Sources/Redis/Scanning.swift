/// Goes through the keys of every master, page by page, and asks every master which channels are listened to.
import NIOCore

extension RedisArgument {
    /// The slot that a key of these bytes is in.
    public var slot: Int { KeySlot.of(bytes) }
}

extension RedisClient {
    /// Hands on the keys that begin with `prefix`, a page at a time. A key that is there from beginning to end is handed on once
    /// or more; one that comes meanwhile may be left out.
    ///
    /// - Parameters:
    ///   - count: keys, of whatever name, that a master looks at for a page.
    ///   - take: gets each page that has any, with some hundred keys more than `count` at most.
    /// - Throws: `RedisError` where a master doesn't answer, where nobody serves a part of the keys, or where other nodes
    ///   have become masters meanwhile: then keys may have been left out. Else what `take` throws.
    public func scan(
        prefix: String, count: Int = 512, _ take: ([RedisArgument]) async throws -> Void
    ) async throws {
        let masters = try await allMasters("SCAN")
        let pattern = RedisArgument(Self.escaped(prefix) + "*")
        for master in masters {
            var cursor = RedisArgument("0")
            repeat {
                try Task.checkCancellation()
                let page = try await reply(
                    of: master, to: ["SCAN", cursor, "MATCH", pattern, "COUNT", RedisArgument(count)])
                guard let parts = page.array, parts.count == 2, let next = parts[0].bytes,
                    let keys = parts[1].array?.compactMap(\.bytes)
                else { throw error(LinkFault(.malformedReply), master, "SCAN") }
                cursor = RedisArgument(next)
                if !keys.isEmpty { try await take(keys.map { RedisArgument($0) }) }
            } while cursor != "0"
        }
        guard try await Set(allMasters("SCAN")) == Set(masters) else {
            throw RedisError(.unavailable, node: "", command: "SCAN", mayHaveRun: false)
        }
    }

    /// Channels that begin with `prefix` and have a listener on one of the masters.
    public func channels(prefix: String) async throws(RedisError) -> [String] {
        var found: Set<String> = []
        for master in try await allMasters("PUBSUB") {
            let answer = try await reply(
                of: master, to: ["PUBSUB", "CHANNELS", RedisArgument(Self.escaped(prefix) + "*")])
            found.formUnion((answer.array ?? []).compactMap(\.string))
        }
        return found.sorted()
    }

    private func allMasters(_ command: String) async throws(RedisError) -> [RedisAddress] {
        await waitForTopology(until: .now() + TimeAmount(configuration.commandDeadline))
        let (topology, fault) = state.withLock { ($0.topology, $0.fault) }
        guard topology.isKnown, topology.map.served == KeySlot.count else {
            let fault = fault ?? LinkFault(.unavailable)
            throw RedisError(
                fault.kind, node: configuration.addresses.first.map { "\($0)" } ?? "", command: command,
                mayHaveRun: false, code: fault.code)
        }
        return topology.masters
    }

    private func reply(
        of node: RedisAddress, to command: [RedisArgument]
    ) async throws(RedisError) -> RedisValue {
        let name = String(decoding: command[0].bytes, as: UTF8.self)
        switch await ask(node, [command], configuration.commandDeadline)[0] {
        case .reply(let value, _):
            if let code = value.errorCode { throw error(LinkFault(.reply, code: code), node, name) }
            return value
        case .failure(let fault, _): throw error(fault, node, name)
        }
    }

    private func error(_ fault: LinkFault, _ node: RedisAddress, _ command: String) -> RedisError {
        RedisError(fault.kind, node: "\(node)", command: command, mayHaveRun: false, code: fault.code)
    }

    /// Without a meaning for patterns.
    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { escaped, character in
            if "*?[]\\".contains(character) { escaped += "\\" }
            escaped.append(character)
        }
    }
}
