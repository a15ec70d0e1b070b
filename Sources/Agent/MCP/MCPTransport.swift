/// The seam between what is said to a server of tools and the way on which it is said: HTTP, or the pipes of a process.

import Transport

/// The way to one server. Era, list and the course of calls are the client's, whichever way there is. Safe to use from any task.
protocol MCPTransport: Sendable {
    var server: MCPServerName { get }

    /// Counts what makes the server's list of tools old without being part of an answer: that it says so by itself, or was started
    /// anew.
    var changes: Int { get }

    /// A server that is still to start answers later than one that runs; nil where nothing speaks for more time.
    var startTime: Duration? { get }

    /// Nothing but time can tell that the server doesn't know how to answer `server/discover`.
    var mayIgnoreDiscovery: Bool { get }

    /// Sends a request and reads to its answer.
    ///
    /// - Parameter heard: takes what the server says before it answers.
    /// - Returns: what came of it, and the name of the session in which it was answered, where there is one.
    func ask(
        _ asking: MCPAsking, heard: (ReplyReader.Item) async -> Void
    ) async -> (reply: MCPReply, sessionID: String?)

    /// Sends a message that needs no answer, and returns the HTTP status under which it was taken.
    @discardableResult
    func tell(
        _ request: MCPRequest, era: MCPEra, headers: SecretHeaders, until deadline: ContinuousClock.Instant
    ) async throws(TransportError) -> Int

    /// Says that nobody waits for an answer any more, where the server can't see that. Doesn't wait itself, so it can be said where the
    /// task was cancelled.
    func takeBack(_ id: Int, era: MCPEra, headers: SecretHeaders)

    /// Ends what the server holds for this client, within a few seconds.
    ///
    /// - Parameters:
    ///   - era: nil where the server was never asked.
    ///   - headers: nil where they can't be had.
    func close(era: MCPEra?, headers: SecretHeaders?) async
}

/// One request on its way.
struct MCPAsking: Sendable {
    var request: MCPRequest
    var id: Int
    var era: MCPEra
    var headers: SecretHeaders
    /// The most bytes of the answer that are read.
    var limit: Int
    var deadline: ContinuousClock.Instant
    var permit: SendPermit?
}
