/// Lists the server's tools page by page, and says what was left out.

import Logging

extension MCPClient {
    func list(
        _ headers: SecretHeaders, until deadline: ContinuousClock.Instant
    ) async throws(MCPError) -> [Tool] {
        var listing = ToolListing(allow: allow, hiding: headers.hidden)
        let changes = state.withLock { $0.cache.changes }
        var era = try await findEra(headers, until: deadline)
        var hasLookedAgain = false
        var cursor: String?
        pages: while true {
            let reply = await ask(
                .list(cursor: cursor), era, headers, deadline, limit: listing.bytesLeft
            ).reply
            if case .tooLarge = reply, cursor != nil {
                listing.end()
                break pages
            }
            if era.isOver(by: reply), !hasLookedAgain {
                hasLookedAgain = true
                forget(era)
                let next = try await findEra(headers, until: deadline)
                if next != era {
                    // A cursor is good for the session that gave it.
                    listing = ToolListing(allow: allow, hiding: headers.hidden)
                    (era, cursor) = (next, nil)
                    continue
                }
            }
            guard case .result(let value) = reply else {
                throw MCPError(reply, from: server, hiding: headers.hidden)
            }
            do {
                guard case .ask(let next) = try listing.add(page: value) else { break pages }
                cursor = next
            } catch {
                throw MCPError(
                    .malformed,
                    "\(server.place): the tool server \(server.name) answered with a list of tools that can't be read: \(error). Update the server."
                )
            }
        }
        keep(listing, for: headers, begunAfter: changes)
        return listing.tools
    }

    private func keep(_ listing: ToolListing, for headers: SecretHeaders, begunAfter changes: Int) {
        let warnings = state.withLock { state in
            state.cache.listed(
                listing.tools, timeToLive: listing.timeToLive, for: headers, begunAfter: changes, at: .now)
            return state.cache.unheard(listing.warnings)
        }
        for warning in warnings {
            logger.warning(
                "A tool server's list was not taken as it came",
                metadata: [
                    "server": "\(server.name)", "field": "\(server.field)", "tool": "\(warning.tool)",
                    "reason": "\(warning.reason)",
                ])
        }
    }

    /// What is answered without asking: a fresh list, or what the last try came to a moment ago.
    func known(for headers: SecretHeaders) throws(MCPError) -> [Tool]? {
        let known = state.withLock { state in
            state.cache.heard(transport.changes, at: .now)
            return state.cache.known(for: headers, at: .now)
        }
        return try known?.get()
    }

    /// A listing failed: the tools of the older one are answered, where there is one that may still stand in.
    func standIn(for error: MCPError, _ headers: SecretHeaders) throws(MCPError) -> [Tool] {
        guard error.kind != .cancelled else { throw error }
        guard let tools = state.withLock({ $0.cache.failed(error, for: headers, at: .now) }) else {
            throw error
        }
        logger.warning(
            "A tool server can't list its tools; those that it had are offered",
            metadata: ["server": "\(server.name)", "error": "\(error)"])
        return tools
    }
}
