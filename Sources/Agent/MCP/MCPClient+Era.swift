/// Finds out how the server is spoken to, once for all who want to know.

import Logging
import Synchronization
import Transport

extension MCPClient {
    func findEra(
        _ headers: SecretHeaders, until deadline: ContinuousClock.Instant
    ) async throws(MCPError) -> MCPEra {
        if let era = knownEra { return era }
        return try await eraSearch.run(until: deadline) { () async throws(MCPError) -> MCPEra in
            if let era = self.knownEra { return era }
            let era = try await self.searchEra(headers, until: deadline)
            self.state.withLock { $0.era.found(era) }
            self.logger.info(
                "Found how a tool server is spoken to",
                metadata: ["server": "\(self.server.name)", "revision": "\(era.revision)"])
            return era
        }
    }

    private func searchEra(
        _ headers: SecretHeaders, until deadline: ContinuousClock.Instant
    ) async throws(MCPError) -> MCPEra {
        if try await discovers(headers, deadline) { return .modern }
        let none = MCPSession(revision: MCPRevision.newestOfSessions, id: nil)
        let (reply, id) = await ask(.initialize, .session(none), headers, deadline)
        if transport.mayIgnoreDiscovery, case .error(let error, _) = reply, error.code == -32022,
            // It was only slow to start: that question has made its era the modern one.
            try await discovers(headers, deadline)
        {
            return .modern
        }
        let era = MCPEra.session(
            try MCPSession(reply, id: id, from: server, hiding: headers.hidden))
        let status: Int
        do throws(TransportError) {
            status = try await transport.tell(.initialized, era: era, headers: headers, until: deadline)
        } catch {
            throw MCPError(transport: error, server: server)
        }
        guard (200..<300).contains(status) else {
            throw MCPError(
                .rejected,
                "\(server.field): the tool server \(server.name) answered the end of the handshake with status \(status). Update the server.",
                status: status)
        }
        return era
    }

    /// Whether the server answers as one of the modern era; else it is asked in the older way.
    private func discovers(
        _ headers: SecretHeaders, _ deadline: ContinuousClock.Instant
    ) async throws(MCPError) -> Bool {
        var time = deadline
        if transport.mayIgnoreDiscovery { time = .now + (deadline - .now) / 2 }
        let (reply, _) = await ask(.discover, .modern, headers, time)
        // A program of the older era may not know what to answer, or end over it.
        if transport.mayIgnoreDiscovery, case .broken(let error) = reply, .now < deadline,
            error.kind == .timeout(.total) || error.kind == .reset
        {
            return false
        }
        switch DiscoveryVerdict(reply, from: server, hiding: headers.hidden) {
        case .modern: return true
        case .failed(let error): throw error
        case .older: return false
        }
    }

    func ask(
        _ request: MCPRequest, _ era: MCPEra, _ headers: SecretHeaders,
        _ deadline: ContinuousClock.Instant, limit: Int = MCPClient.maxAnswerBytes
    ) async -> (reply: MCPReply, sessionID: String?) {
        await transport.ask(
            MCPAsking(
                request: request, id: nextID(), era: era, headers: headers, limit: limit, deadline: deadline)
        ) { _ in }
    }

    var knownEra: MCPEra? { state.withLock { $0.era.known } }

    func forget(_ era: MCPEra) {
        state.withLock { state in
            state.era.forget(era)
            // Whatever was started anew may have other tools.
            state.cache.becameOld(at: .now)
        }
    }

    func nextID() -> Int {
        lastID.add(1, ordering: .relaxed).newValue
    }
}

extension MCPEra {
    fileprivate var revision: String {
        switch self {
        case .modern: MCPRevision.modern
        case .session(let session): session.revision
        }
    }
}
