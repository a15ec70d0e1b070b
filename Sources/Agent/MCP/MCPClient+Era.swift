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
        let discovery = await ask(.discover, .modern, headers, deadline)
        switch DiscoveryVerdict(discovery.reply, from: server, hiding: headers.hidden) {
        case .modern: return .modern
        case .failed(let error): throw error
        case .older: break
        }
        let none = MCPSession(revision: MCPRevision.newestOfSessions, id: nil)
        let (reply, id) = await ask(.initialize, .session(none), headers, deadline)
        let era = MCPEra.session(
            try MCPSession(reply, id: id, from: server, hiding: headers.hidden))
        let status: Int
        do throws(TransportError) {
            status = try await endpoint.tell(.initialized, era: era, headers: headers, until: deadline)
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

    func ask(
        _ request: MCPRequest, _ era: MCPEra, _ headers: SecretHeaders,
        _ deadline: ContinuousClock.Instant, limit: Int = MCPClient.maxAnswerBytes
    ) async -> (reply: MCPReply, sessionID: String?) {
        await endpoint.ask(
            MCPEndpoint.Asking(
                request: request, id: nextID(), era: era, headers: headers, limit: limit, deadline: deadline))
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
