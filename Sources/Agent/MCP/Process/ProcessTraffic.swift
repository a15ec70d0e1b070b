/// What goes over the pipes of one process: whose answers are awaited, what is still to be written, and to whom a line belongs.
/// A value without I/O or clock.

import Transport

/// Many requests share the two pipes; their ids tell them apart (JSON-RPC 2.0, one message a line).
struct ProcessTraffic {
    typealias Instant = ContinuousClock.Instant
    typealias Answer = @Sendable (ReplyReader.Item) -> Void

    /// Bytes that wait because the process doesn't read.
    static let maxWaitingBytes = 16 << 20
    /// Answers to the process's own questions that wait.
    private static let maxWaitingAnswers = 64
    private static let chunkBytes = 64 * 1024

    private struct Ask {
        var limit: Int
        var deadline: Instant
        var answer: Answer
    }

    private struct Message {
        var bytes: [UInt8]
        var written = 0
        /// Of the request that it is.
        var id: Int?
        var permit: SendPermit?
        var isAnswer = false
    }

    /// What a line says besides answers.
    struct News: Equatable {
        var toolsChanged = false
        var hasAnswered = false
        /// Why the line is no message.
        var rubbish: String?
    }

    private var asks: [Int: Ask] = [:]
    private var messages: [Message] = []
    private var waitingBytes = 0

    var hasOutput: Bool { !messages.isEmpty }
    var nextDeadline: Instant? { asks.values.lazy.map(\.deadline).min() }

    // MARK: What goes out

    /// - Parameter answer: takes what the process says to it; the last is `.reply`, which may come at once.
    mutating func ask(
        _ id: Int, _ message: [UInt8], limit: Int, deadline: Instant, permit: SendPermit?,
        answer: @escaping Answer
    ) {
        guard waitingBytes + message.count <= Self.maxWaitingBytes else {
            return answer(.reply(.broken(TransportError(.overloaded, "its process takes no more input"))))
        }
        asks[id] = Ask(limit: limit, deadline: deadline, answer: answer)
        add(Message(bytes: message, id: id, permit: permit))
    }

    /// Adds a message that needs no answer; false where there is no room for it.
    @discardableResult
    mutating func tell(_ message: [UInt8]) -> Bool {
        guard waitingBytes + message.count <= Self.maxWaitingBytes else { return false }
        add(Message(bytes: message))
        return true
    }

    /// Nobody waits for this answer any more. A request of which nothing was written is not sent.
    mutating func forget(_ id: Int) {
        asks[id] = nil
        guard let place = messages.firstIndex(where: { $0.id == id && $0.written == 0 }) else { return }
        waitingBytes -= messages.remove(at: place).bytes.count
    }

    /// Ends the waits whose time is up.
    mutating func expire(at now: Instant) {
        for (id, ask) in asks where ask.deadline <= now {
            forget(id)
            ask.answer(.reply(.broken(TransportError(.timeout(.total), "no answer came in time"))))
        }
    }

    /// The bytes that are to be written next; nil where there are none. Nothing else may be done between this and ``wrote(_:)``.
    func nextChunk() -> [UInt8]? {
        guard let message = messages.first else { return nil }
        let end = min(message.written + Self.chunkBytes, message.bytes.count)
        return Array(message.bytes[message.written..<end])
    }

    /// So many bytes of the last chunk, one at least, were written: of a request whose beginning was, the rest has to follow.
    mutating func wrote(_ count: Int) {
        // Nothing beneath sends a request a second time, so there is none to be held back: the permit only has to know.
        if messages[0].written == 0 { _ = messages[0].permit?.mayBeSent() }
        messages[0].written += count
        if messages[0].written >= messages[0].bytes.count {
            waitingBytes -= messages.removeFirst().bytes.count
        }
    }

    /// The process is gone: whatever was asked has no answer.
    mutating func end(_ error: TransportError) {
        for ask in asks.values { ask.answer(.reply(.broken(error))) }
        asks = [:]
        messages = []
        waitingBytes = 0
    }

    private mutating func add(_ message: Message) {
        var message = message
        message.bytes.append(UInt8(ascii: "\n"))
        waitingBytes += message.bytes.count
        messages.append(message)
    }

    // MARK: What comes in

    /// Gives a line to whom it belongs. What is no message of the protocol is nobody's.
    mutating func receive(_ line: LineReader.Line) -> News {
        switch line {
        case .cut(let head): return receive(cut: head)
        case .whole(let bytes):
            if bytes.allSatisfy({ $0 == 0x20 || (0x09...0x0D).contains($0) }) { return News() }
            let messages: [MCPMessage]
            do {
                messages = try MCPMessage.all(in: bytes)
            } catch {
                return News(rubbish: "it is no JSON: \(error)")
            }
            var news = News()
            for message in messages { take(message, bytes.count, &news) }
            return news
        }
    }

    private mutating func take(_ message: MCPMessage, _ size: Int, _ news: inout News) {
        switch message {
        case .result(let id, let value):
            news.hasAnswered = true
            reply(to: Self.number(id), size) { .result(value) }
        case .error(let id, let error):
            news.hasAnswered = true
            // Without an id it can only be told whose it is where one alone waits.
            reply(to: id.flatMap(Self.number) ?? (id == nil ? only : nil), size) {
                .error(error, status: 200)
            }
        case .progress(let token, let progress):
            guard progress != ToolProgress(), let id = Self.number(token) else { return }
            asks[id]?.answer(.progress(progress))
        case .toolsChanged: news.toolsChanged = true
        case .request(let id, let method):
            guard messages.count(where: \.isAnswer) < Self.maxWaitingAnswers, id.count <= 1024 else { return }
            // The client has nothing to offer.
            let answer: MCPRequest = method == "ping" ? .alive(id: id) : .refuse(method: method, id: id)
            add(Message(bytes: answer.body(id: 0, era: .modern), isAnswer: true))
        case .other: break
        }
    }

    private mutating func reply(to id: Int?, _ size: Int, _ reply: () -> MCPReply) {
        // An answer to a question that nobody asked, or waits for any more, is nobody's.
        guard let id, let ask = asks.removeValue(forKey: id) else { return }
        ask.answer(.reply(size > ask.limit ? .tooLarge(limit: ask.limit) : reply()))
    }

    /// The answer is too long to be read: as a rule it says at its beginning whose it is.
    private mutating func receive(cut head: [UInt8]) -> News {
        var reader = JSONReader(Array(head.prefix(4096)))
        var id: Int?
        do {
            try reader.beginObject()
            while let key = try reader.nextKey() {
                if key == "method" { return News(rubbish: "it is too long") }
                if key == "id" {
                    id = Self.number(Array(try reader.readRaw()))
                    break
                }
                try reader.skipValue()
            }
        } catch {
            // It ends in the middle, or is no JSON at all.
            id = nil
        }
        guard let id = id ?? only, let ask = asks.removeValue(forKey: id) else {
            return News(rubbish: "it is too long")
        }
        ask.answer(.reply(.tooLarge(limit: min(ask.limit, head.count))))
        return News(hasAnswered: true)
    }

    /// The one that waits, where it is one.
    private var only: Int? { asks.count == 1 ? asks.keys.first : nil }

    private static func number(_ id: [UInt8]) -> Int? { Int(String(decoding: id, as: UTF8.self)) }
}
