/// Why a tool server's tools can't be had, in words that name the manifest's field and the mend.

import Transport

/// What stands between a pool and a server of tools.
public struct MCPError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: String, Sendable {
        /// The manifest or a Secret lacks what a request needs; nothing was sent.
        case configuration
        /// No connection to the server, or it ended before an answer came.
        case unavailable
        /// The time is up.
        case timeout
        /// The server answered with an error.
        case rejected
        /// The server speaks no revision of the protocol that this client speaks.
        case incompatible
        /// The server answered what is not the protocol, or too much of it.
        case malformed
        /// The calling task was cancelled.
        case cancelled
    }

    public var kind: Kind
    /// For people and for models. Names the field; holds no secret.
    public var message: String
    /// The server's HTTP status, where it answered with an error.
    public var status: Int?

    public init(_ kind: Kind, _ message: String, status: Int? = nil) {
        self.kind = kind
        self.message = message
        self.status = status
    }

    public var description: String { message }

    /// It says nothing about the server: whoever waited for the same answer has to ask anew.
    var isOfItsCaller: Bool { kind == .cancelled || kind == .timeout }
}

extension MCPError {
    /// - Parameter server: names field and server: `spec.mcpServers[0] (weather)`.
    init(transport error: TransportError, server: MCPServerName) {
        switch error.kind {
        case .invalidRequest:
            self.init(
                .configuration,
                "\(server.place) can't be used: \(error.message). Mend the \(server.isProcess ? "command" : "address")."
            )
        case .timeout(.connect):
            self.init(.unavailable, Self.unreachable(server, error))
        case .timeout:
            self.init(
                .timeout,
                "\(server.place): the tool server \(server.name) gave no answer in time. Check that it runs and is not overloaded."
            )
        case .cancelled, .withheld:
            self.init(.cancelled, "The request to the tool server \(server.name) was cancelled.")
        case .malformedResponse, .tooLarge, .slowReader:
            self.init(
                .malformed,
                "\(server.place): the answer of the tool server \(server.name) can't be read: \(error.message). \(server.speechMend)"
            )
        case .resolve, .connect, .tls, .reset, .overloaded, .shutdown:
            self.init(.unavailable, Self.unreachable(server, error))
        }
    }

    private static func unreachable(_ server: MCPServerName, _ error: TransportError) -> String {
        "\(server.place): the tool server \(server.name) can't be reached: \(error.message). \(server.reachingMend)"
    }

    static func late(_ server: MCPServerName) -> MCPError {
        MCPError(
            .timeout,
            "\(server.place): the tool server \(server.name) gave no answer in time. Check that it runs and is not overloaded."
        )
    }

    static func cancelled(_ server: MCPServerName) -> MCPError {
        MCPError(.cancelled, "The request to the tool server \(server.name) was cancelled.")
    }
}

/// How people know a server: by its place in the manifest and by the name that stands there.
struct MCPServerName: Sendable, Equatable {
    let name: String
    /// `spec.mcpServers[0]`
    let field: String
    /// It is a process that this one starts; else it has an address.
    var isProcess = false

    /// The field that says where it is.
    var place: String { isProcess ? "\(field).command" : "\(field).url" }

    /// What to look at where it can't be reached.
    fileprivate var reachingMend: String {
        isProcess
            ? "Check the program, and what it says on its standard error, which is in this log."
            : "Check the address and that the server runs."
    }

    /// What to look at where it speaks something else.
    fileprivate var speechMend: String {
        isProcess
            ? "Check that the program speaks the Model Context Protocol over its standard input and output."
            : "Check that the address is an MCP endpoint."
    }
}

extension MCPError {
    /// What a reply that is no result means for whoever needs the server's tools.
    init(_ reply: MCPReply, from server: MCPServerName, hiding hidden: HiddenValues) {
        let url = "\(server.place): the tool server \(server.name)"
        switch reply {
        case .broken(let error): self.init(transport: error, server: server)
        case .tooLarge(let limit):
            self.init(.malformed, "\(url) answered with more than \(limit) bytes. Have it answer less.")
        case .unreadable(let what):
            self.init(
                .malformed,
                "\(url) answered with \(hidden.line(what) ?? "something") in place of a message of the Model Context Protocol. \(server.speechMend)"
            )
        case .error(let error, let status):
            let said = error.message.flatMap { hidden.line($0) }.map { ": \($0)" } ?? "."
            let code = error.code.map { " \($0)" } ?? ""
            self.init(Self.refusal(status, said: "with the error\(code)\(said)", server: server))
        case .refused(let status, let text, let location):
            var said = "with status \(status)"
            if (300..<400).contains(status), let location = location.flatMap({ hidden.line($0, limit: 200) })
            {
                said += " and leads to \(location): put the address there into \(server.place)"
            } else if let text = text.flatMap({ hidden.line($0) }) {
                said += ": \(text)"
            }
            self.init(Self.refusal(status, said: said, server: server))
        case .ended:
            self.init(.unavailable, "\(url) ended its answer before it was whole. Check that it runs.")
        case .result:
            self.init(.malformed, "\(url) gave an answer that can't be read.")
        }
    }

    private init(_ other: MCPError) { self = other }

    private static func refusal(_ status: Int, said: String, server: MCPServerName) -> MCPError {
        let ended = said.hasSuffix(".") ? said : said + "."
        switch status {
        case 401, 403:
            return MCPError(
                .rejected,
                "\(server.field).headersSecretRef: the tool server \(server.name) refused the request's credentials \(ended) Check the Secret's headers.",
                status: status)
        case 404, 405:
            return MCPError(
                .rejected,
                "\(server.place): the tool server \(server.name) answered \(ended) Check that the address's path is its MCP endpoint.",
                status: status)
        default:
            return MCPError(
                .rejected, "\(server.place): the tool server \(server.name) answered \(ended)",
                status: status)
        }
    }
}
