/// Owns the way to one server: posts a message over HTTP and reads on to its answer, within bounds and a deadline.

import Transport

/// A server's address, and the client that reaches it.
struct MCPEndpoint: MCPTransport {
    typealias Instant = ContinuousClock.Instant

    static let refusalLimit = 64 * 1024
    /// For telling a server that nobody waits any more.
    static let courtesyTime = Duration.seconds(10)
    /// How long a stream that has brought its answer may take to end, so that its connection can be kept.
    private static let endingTime = Duration.milliseconds(100)

    let server: MCPServerName
    let url: String
    let http: HTTPClient

    // Nothing is heard between requests, and nothing is started here.
    let changes = 0
    let startTime: Duration? = nil
    let mayIgnoreDiscovery = false

    /// Posts a request and reads to its answer.
    ///
    /// - Parameter heard: takes what the server says before it answers.
    /// - Returns: what came of it, and the `MCP-Session-Id` that came along.
    func ask(
        _ asking: MCPAsking, heard: (ReplyReader.Item) async -> Void
    ) async -> (reply: MCPReply, sessionID: String?) {
        do throws(TransportError) {
            let response = try await execute(asking)
            let sessionID = response.headers["MCP-Session-Id"]
            guard (200..<300).contains(response.status) else { return (await refusal(response), sessionID) }
            return (await read(response, asking, heard), sessionID)
        } catch {
            return (.broken(error), nil)
        }
    }

    /// Posts a message that needs no answer, and returns the status under which it was taken.
    @discardableResult
    func tell(
        _ request: MCPRequest, era: MCPEra, headers: SecretHeaders, until deadline: Instant
    ) async throws(TransportError) -> Int {
        let asking = MCPAsking(
            request: request, id: 0, era: era, headers: headers, limit: 0, deadline: deadline)
        let response = try await execute(asking)
        // Read to its end, or its connection could not be kept; the status has said all that there is to know.
        _ = try? await response.body.collect(upTo: Self.refusalLimit)
        return response.status
    }

    /// In the modern era the end of the connection says it.
    func takeBack(_ id: Int, era: MCPEra, headers: SecretHeaders) {
        guard case .session = era else { return }
        let asking = MCPAsking(
            request: .cancelled(request: id), id: 0, era: era, headers: headers, limit: 0,
            deadline: .now + Self.courtesyTime)
        // It is a courtesy: where it can't be said, the server works on for nobody.
        if let request = try? request(asking) { http.send(request) }
    }

    /// Ends the server's session (`DELETE`, in the older era). It is a courtesy: servers drop sessions by themselves too.
    func close(era: MCPEra?, headers: SecretHeaders?) async {
        guard case .session(let session)? = era, session.id != nil, let headers else { return }
        let own = MCPRequest.initialized.headers(era: .session(session)).filter { $0.name.hasPrefix("MCP-") }
        // Whatever comes of it, this client asks nothing more.
        _ = try? await http.execute(
            HTTPRequest(
                method: "DELETE", url: url, headers: own + headers.fields, idleTimeout: Self.closingTime,
                totalTimeout: Self.closingTime)
        ).body.collect(upTo: Self.refusalLimit)
    }

    private static let closingTime = Duration.seconds(2)

    /// Tries again once, and only where there was no connection, so that no byte can have reached the server.
    private func execute(_ asking: MCPAsking) async throws(TransportError) -> HTTPResponse {
        do throws(TransportError) {
            return try await http.execute(try request(asking))
        } catch  where error.kind == .resolve || error.kind == .connect {
            return try await http.execute(try request(asking))
        }
    }

    private func request(_ asking: MCPAsking) throws(TransportError) -> HTTPRequest {
        let left = asking.deadline - .now
        guard left > .zero else {
            throw TransportError(.timeout(.total), "the time for the request was up before it was sent")
        }
        return HTTPRequest(
            method: "POST", url: url,
            headers: asking.request.headers(era: asking.era) + asking.headers.fields,
            body: asking.request.body(id: asking.id, era: asking.era),
            // Silence is no fault of a tool that works.
            idleTimeout: left, totalTimeout: left,
            mayBeSent: asking.permit?.question)
    }

    /// Reads to the answer; where a stream of the older era ends before it, in the response that goes on.
    private func read(
        _ response: HTTPResponse, _ asking: MCPAsking, _ heard: (ReplyReader.Item) async -> Void
    ) async -> MCPReply {
        var reader = ReplyReader(
            contentType: response.headers["Content-Type"], id: asking.id, limit: asking.limit)
        var body = response.body
        var lastID: String?
        var failures = 0
        while true {
            let reply = await read(body, with: &reader, heard)
            guard case .session = asking.era, Self.mayGoOn(reply) else { return reply }
            // Only a stream that gets on is taken up again and again.
            if reader.resumption?.id != lastID { failures = 0 }
            lastID = reader.resumption?.id
            var next: HTTPResponse?
            while next == nil, failures < Self.maxFailures, let resumption = reader.resumption {
                failures += 1
                // Only cancellation ends it early, which is asked for next.
                try? await Task.sleep(for: resumption.wait)
                if Task.isCancelled || asking.deadline <= .now { return reply }
                // A try that fails is counted, and made again.
                next = try? await resume(asking, at: resumption)
                if let next, next.status == 404 { return reply }
                if let status = next?.status, !(200..<300).contains(status) { next = nil }
            }
            guard let next else { return reply }
            reader.resume()
            body = next.body
        }
    }

    private static let maxFailures = 3

    private static func mayGoOn(_ reply: MCPReply) -> Bool {
        switch reply {
        case .ended: true
        case .broken(let error): error.kind == .reset
        case .result, .error, .refused, .unreadable, .tooLarge: false
        }
    }

    /// Asks for what follows an event. Executes nothing: it may be asked more than once.
    private func resume(
        _ asking: MCPAsking, at resumption: ReplyReader.Resumption
    ) async throws(TransportError) -> HTTPResponse {
        let left = asking.deadline - .now
        let own = asking.request.headers(era: asking.era).filter { $0.name.hasPrefix("MCP-") }
        return try await http.execute(
            HTTPRequest(
                url: url,
                headers: own + asking.headers.fields
                    + [("Accept", "text/event-stream"), ("Last-Event-ID", resumption.id)],
                idleTimeout: left, totalTimeout: left))
    }

    private func read(
        _ body: HTTPBody, with reader: inout ReplyReader, _ heard: (ReplyReader.Item) async -> Void
    ) async -> MCPReply {
        var iterator = body.makeAsyncIterator()
        while true {
            let bytes: [UInt8]?
            do throws(TransportError) {
                bytes = try await iterator.next()
            } catch {
                return .broken(error)
            }
            for item in bytes.map({ reader.feed($0) }) ?? reader.finish() {
                guard case .reply(let reply) = item else {
                    await heard(item)
                    continue
                }
                if bytes != nil { await end(body, after: reply) }
                return reply
            }
            // Can't be: at its end a reader always has a reply.
            if bytes == nil { return .ended }
        }
    }

    /// Reads what is left of a stream whose answer came, where it ends at once; otherwise it is closed.
    private func end(_ body: HTTPBody, after reply: MCPReply) async {
        guard case .result = reply else { return body.cancel() }
        await withTaskGroup { group in
            // What follows the answer is nobody's to read: an error in it changes nothing.
            group.addTask { _ = try? await body.collect(upTo: 4096) }
            group.addTask {
                // Ends early where the body has ended, and then there is nothing left to cancel.
                try? await Task.sleep(for: Self.endingTime)
                body.cancel()
            }
            await group.next()
            group.cancelAll()
        }
    }

    private func refusal(_ response: HTTPResponse) async -> MCPReply {
        // The status alone tells enough; the text is only to explain it.
        let body = (try? await response.body.collect(upTo: Self.refusalLimit)) ?? []
        let (error, text) = RefusalText.read(body)
        if let error { return .error(error, status: response.status) }
        return .refused(status: response.status, text: text, location: response.headers["Location"])
    }
}
