/// Reads a successful response's body, JSON or event stream, until the answer to one request is in it. A value without I/O.

import Transport

/// The state of one response: bytes go in, what they say comes out, and it knows when the answer is there.
struct ReplyReader: Sendable {
    /// What a response says, in order.
    enum Item: Sendable, Equatable {
        case progress(ToolProgress)
        case toolsChanged
        /// The server asks something of the client and waits for an answer.
        case request(id: [UInt8], method: String)
        /// The end: nothing that follows matters.
        case reply(MCPReply)
    }

    private enum Form: Sendable {
        case json
        case events(ServerSentEventParser)
        case foreign(String)
    }

    private let id: [UInt8]
    private let limit: Int
    private var form: Form
    private var size = 0
    private var body: [UInt8] = []
    private var isDone = false
    private var lastEventID: String?
    private var reconnectionTime: Int?

    /// - Parameters:
    ///   - contentType: the response's, as it came.
    ///   - id: of the request that is to be answered.
    ///   - limit: the most bytes of the body that are read.
    init(contentType: String?, id: Int, limit: Int) {
        self.id = Array(String(id).utf8)
        self.limit = limit
        let type = (contentType ?? "").prefix { $0 != ";" }.lowercased()
        switch HeaderText.trimmed(type) {
        case "text/event-stream": form = .events(ServerSentEventParser(maxEventBytes: limit))
        case "application/json", "": form = .json
        case let type where type.hasSuffix("+json"): form = .json
        case let type: form = .foreign(type)
        }
    }

    /// The next bytes of the body, and what they complete.
    mutating func feed(_ bytes: [UInt8]) -> [Item] {
        guard !isDone else { return [] }
        size += bytes.count
        guard size <= limit else { return [end(.tooLarge(limit: limit))] }
        switch form {
        case .foreign(let type):
            return [end(.unreadable(Self.isPlainType(type) ? type : "another type of content"))]
        case .json:
            body.append(contentsOf: bytes)
            return []
        case .events(var parser):
            var events: [ServerSentEvent] = []
            var isTooLarge = false
            do {
                try parser.feed(bytes, into: &events)
            } catch {
                isTooLarge = true
            }
            form = .events(parser)
            lastEventID = parser.lastEventID ?? lastEventID
            reconnectionTime = parser.reconnectionTime ?? reconnectionTime
            var items: [Item] = []
            for event in events where !isDone { items += read(event.data) }
            if isTooLarge, !isDone { items.append(end(.tooLarge(limit: limit))) }
            return items
        }
    }

    /// The body is whole.
    mutating func finish() -> [Item] {
        guard !isDone else { return [] }
        switch form {
        case .foreign(let type):
            return [end(.unreadable(Self.isPlainType(type) ? type : "another type of content"))]
        case .events: return [end(.ended)]
        case .json:
            if body.isEmpty { return [end(.unreadable("an empty body"))] }
            let items = read(body)
            body = []
            return isDone ? items : items + [end(.unreadable("JSON that is no answer to the request"))]
        }
    }

    /// Where a stream that ended without the answer can be taken up again, as servers of the older era allow.
    struct Resumption: Sendable, Equatable {
        /// For `Last-Event-ID`.
        let id: String
        let wait: Duration
    }

    private static let defaultWait = 1000
    private static let longestWait = 5000

    /// Nil where the server gave its events no ids.
    var resumption: Resumption? {
        guard case .events = form, let id = lastEventID, HeaderText.isPlain(id), !id.isEmpty,
            id.utf8.count <= 1024
        else { return nil }
        let wait = min(max(reconnectionTime ?? Self.defaultWait, 10), Self.longestWait)
        return Resumption(id: id, wait: .milliseconds(wait))
    }

    /// Another response goes on where the last one ended.
    mutating func resume() {
        form = .events(ServerSentEventParser(maxEventBytes: limit))
        isDone = false
    }

    private mutating func read(_ text: [UInt8]) -> [Item] {
        // An event without data opens a stream that can be taken up again.
        if text.isEmpty { return [] }
        let messages: [MCPMessage]
        do {
            messages = try MCPMessage.all(in: text)
        } catch {
            return [end(.unreadable("JSON that can't be read: \(error)"))]
        }
        var items: [Item] = []
        for message in messages where !isDone {
            switch message {
            case .result(id, let value): items.append(end(.result(value)))
            case .error(id, let error), .error(nil, let error):
                items.append(end(.error(error, status: 200)))
            // An answer to somebody else's question is not ours.
            case .result, .error, .other: break
            case .progress(let token, let progress):
                if token == id, progress != ToolProgress() { items.append(.progress(progress)) }
            case .toolsChanged: items.append(.toolsChanged)
            case .request(let id, let method): items.append(.request(id: id, method: method))
            }
        }
        return items
    }

    private mutating func end(_ reply: MCPReply) -> Item {
        isDone = true
        body = []
        return .reply(reply)
    }

    /// A type as it may be shown: a server can write anything there.
    private static func isPlainType(_ type: String) -> Bool {
        type.utf8.count <= 60 && !type.isEmpty
            && type.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
                default: "/.+-_".utf8.contains(byte)
                }
            }
    }
}
