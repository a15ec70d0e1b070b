/// Decides in which of the protocol's two eras a server is spoken to, and when to look at that again. Values without I/O.

/// What is known of a server's era.
struct ServerEra: Sendable {
    private enum State: Sendable {
        /// Can become `known`.
        case unknown
        /// Can become `unknown` when an answer says that it changed.
        case known(MCPEra)
    }

    private var state = State.unknown

    var known: MCPEra? {
        if case .known(let era) = state { era } else { nil }
    }

    mutating func found(_ era: MCPEra) {
        state = .known(era)
    }

    /// An answer to a request in this era said that it is another's now. Does nothing where somebody has looked since.
    mutating func forget(_ era: MCPEra) {
        if known == era { state = .unknown }
    }
}

/// What the answer to `server/discover` says, the first question to a server.
enum DiscoveryVerdict: Equatable {
    case modern
    /// Not the modern era: `initialize` comes next.
    case older
    case failed(MCPError)

    init(_ reply: MCPReply, from server: MCPServerName, hiding hidden: HiddenValues) {
        switch reply {
        case .result(let value):
            guard let versions = Self.supportedVersions(in: value) else {
                self = .older
                return
            }
            self.init(supported: versions, of: server, hiding: hidden)
        case .error(let error, let status):
            if error.code == -32022 {
                // A server that names no revision may still speak an older one.
                self.init(supported: error.supported ?? ["2025-11-25"], of: server, hiding: hidden)
            } else if Self.isNoVerdict(status) || MCPServerError.modernCodes.contains(error.code ?? 0) {
                self = .failed(MCPError(reply, from: server, hiding: hidden))
            } else {
                self = .older
            }
        case .refused(let status, _, _):
            self = Self.isNoVerdict(status) ? .failed(MCPError(reply, from: server, hiding: hidden)) : .older
        case .unreadable: self = .older
        // An outage says nothing about the era.
        case .ended, .tooLarge, .broken: self = .failed(MCPError(reply, from: server, hiding: hidden))
        }
    }

    private init(supported: [String], of server: MCPServerName, hiding hidden: HiddenValues) {
        if supported.contains(MCPRevision.modern) {
            self = .modern
        } else if !MCPRevision.ofSessions.isDisjoint(with: supported) || supported.isEmpty {
            self = .older
        } else {
            let named = hidden.line(supported.joined(separator: ", "), limit: 100) ?? "none"
            self = .failed(
                MCPError(
                    .incompatible,
                    "\(server.field): the tool server \(server.name) speaks other revisions of the Model Context Protocol (\(named)) than this client, which speaks 2024-11-05 to \(MCPRevision.modern). Update the server."
                ))
        }
    }

    /// Statuses by which neither era can be told: redirects, credentials, limits and outages.
    private static func isNoVerdict(_ status: Int) -> Bool {
        switch status {
        case 300..<400, 401, 402, 403, 407, 408, 425, 429, 451, 500...: true
        default: false
        }
    }

    private static func supportedVersions(in result: [UInt8]) -> [String]? {
        var reader = JSONReader(result)
        var versions: [String]?
        do {
            try reader.beginObject()
            while let key = try reader.nextKey() {
                if key == "supportedVersions" {
                    versions = try reader.readTexts()
                } else {
                    try reader.skipValue()
                }
            }
        } catch {
            return nil
        }
        return versions
    }
}

extension MCPSession {
    /// Reads what `initialize` came to.
    ///
    /// - Parameter id: the response's `MCP-Session-Id`.
    init(
        _ reply: MCPReply, id: String?, from server: MCPServerName, hiding hidden: HiddenValues
    ) throws(MCPError) {
        guard case .result(let value) = reply else {
            var error = MCPError(reply, from: server, hiding: hidden)
            if let status = error.status, [400, 404, 405, 406, 415].contains(status) {
                error.message += " Neither era of the Model Context Protocol was understood there."
            }
            throw error
        }
        var reader = JSONReader(value)
        var revision: String?
        do {
            try reader.beginObject()
            while let key = try reader.nextKey() {
                if key == "protocolVersion" {
                    revision = try reader.readText()
                } else {
                    try reader.skipValue()
                }
            }
        } catch {
            revision = nil
        }
        guard let revision, MCPRevision.ofSessions.contains(revision) else {
            let named = revision.flatMap { hidden.line($0, limit: 40) } ?? "none"
            throw MCPError(
                .incompatible,
                "\(server.field): the tool server \(server.name) answered initialize with the revision \(named), which this client doesn't speak. Update the server."
            )
        }
        guard id.map({ HeaderText.isPlain($0) && !$0.isEmpty && $0.utf8.count <= 1024 }) ?? true else {
            throw MCPError(
                .malformed,
                "\(server.field): the tool server \(server.name) gave a session id that no header may hold.")
        }
        self.init(revision: revision, id: id)
    }
}

extension MCPEra {
    /// Whether the answer to a request in this era says that the server doesn't know it: nothing was executed then, and
    /// the era, or the session, has to be found anew.
    func isOver(by reply: MCPReply) -> Bool {
        let refusals = [400, 404, 405]
        switch reply {
        case .refused(let status, _, _): return refusals.contains(status)
        case .error(let error, let status):
            if error.code == -32022 { return true }
            guard refusals.contains(status) else { return false }
            if case .session(let session) = self {
                if status == 404, session.id != nil { return true }
                if MCPServerError.modernCodes.contains(error.code ?? 0) { return true }
            }
            // What servers of the older era say of a session that they don't know, or miss. The last two codes are free
            // for any use, so there the words decide.
            if [-32000, -32001].contains(error.code) { return error.speaksOfSession }
            return error.code == nil || error.code == -32600
        case .result, .unreadable, .ended, .tooLarge, .broken: return false
        }
    }
}
