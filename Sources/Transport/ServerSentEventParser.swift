/// Splits the bytes of an event stream into events, incrementally and without I/O: any split of the bytes gives
/// the same events. Follows "Interpreting an event stream" of the WHATWG HTML standard (section 9.2.6).
///
/// The fast way hands out each event's data as a span into the bytes just fed, copied nowhere unless the event
/// began in an earlier chunk or has several data lines:
///
///     var parser = ServerSentEventParser()
///     for try await chunk in response.body {
///         try parser.feed(chunk.span) { fields, data in ... }    // data: Span<UInt8>
///     }
///     parser.finish()
///
/// The convenient way appends ``ServerSentEvent`` values to an array. What is kept between two calls is bounded:
/// an unfinished line and the data of an unfinished event, each of at most `maxEventBytes`.
public struct ServerSentEventParser: Sendable {
    /// The id that a reconnecting client sends as `Last-Event-ID`; nil while no `id` field was dispatched.
    public private(set) var lastEventID: String?
    /// The reconnection time in milliseconds that the stream asked for last, also by a block without data.
    public private(set) var reconnectionTime: Int?

    private let maxEventBytes: Int
    /// The start of a line whose end hasn't arrived.
    private var partialLine: [UInt8] = []
    private var block = Block()
    /// The last byte fed was a carriage return: a line feed that follows belongs to it.
    private var skipsLineFeed = false
    private var isFirstLine = true
    private var failure: ServerSentEventError?

    /// - Parameter maxEventBytes: the most bytes that one event's data, or any one line, may have.
    public init(maxEventBytes: Int = 1 << 20) {
        self.maxEventBytes = maxEventBytes
    }

    /// Feeds the next bytes and appends the events that they complete.
    ///
    /// Throws when an event or a line is over its bound; the events before it were appended, and the parser
    /// stays failed.
    public mutating func feed(
        _ bytes: Span<UInt8>, into events: inout [ServerSentEvent]
    ) throws(ServerSentEventError) {
        try feed(bytes) { fields, data in
            events.append(ServerSentEvent(fields: fields, data: Array(copying: data)))
        }
    }

    /// Feeds the next bytes and appends the events that they complete.
    public mutating func feed(
        _ bytes: [UInt8], into events: inout [ServerSentEvent]
    ) throws(ServerSentEventError) {
        try feed(bytes.span, into: &events)
    }

    /// Feeds the next bytes and calls `onEvent` for each event that they complete, in order.
    ///
    /// - Parameter onEvent: gets the event's fields and its data, which is valid for the length of the call.
    public mutating func feed(
        _ bytes: Span<UInt8>, onEvent: (_ fields: ServerSentEvent.Fields, _ data: Span<UInt8>) -> Void
    ) throws(ServerSentEventError) {
        if let failure { throw failure }
        var position = 0
        if skipsLineFeed, bytes.count > 0 {
            skipsLineFeed = false
            if bytes[0] == Byte.lineFeed { position = 1 }
        }
        var scanner = LineEndScanner()
        while let end = scanner.next(in: bytes, from: position) {
            if partialLine.isEmpty {
                try line(bytes, position..<end, onEvent)
            } else {
                partialLine.append(copying: bytes.extracting(position..<end))
                var whole: [UInt8] = []
                swap(&whole, &partialLine)
                try line(whole.span, 0..<whole.count, onEvent)
                block.keepData(of: whole.span)
                whole.removeAll(keepingCapacity: true)
                swap(&whole, &partialLine)
            }
            position = end + 1
            if bytes[end] == Byte.carriageReturn {
                if position == bytes.count {
                    skipsLineFeed = true
                } else if bytes[position] == Byte.lineFeed {
                    position += 1
                }
            }
        }
        block.keepData(of: bytes)
        if position < bytes.count {
            try checkLine(partialLine.count + bytes.count - position)
            partialLine.append(copying: bytes.extracting(position..<bytes.count))
        }
    }

    /// Ends the stream: an event whose blank line never came is dropped, as the standard asks.
    ///
    /// - Returns: whether anything was dropped.
    @discardableResult
    public mutating func finish() -> Bool {
        let dropped = block.hasData || !partialLine.isEmpty
        partialLine = []
        block = Block()
        return dropped
    }

    private mutating func checkLine(_ count: Int) throws(ServerSentEventError) {
        if count > maxEventBytes { throw fail() }
    }

    private mutating func fail() -> ServerSentEventError {
        let error = ServerSentEventError.eventTooLarge(limit: maxEventBytes)
        failure = error
        partialLine = []
        block = Block()
        return error
    }

    /// Takes one whole line, `range` of `bytes`, without its end.
    private mutating func line(
        _ bytes: Span<UInt8>, _ range: Range<Int>,
        _ onEvent: (_ fields: ServerSentEvent.Fields, _ data: Span<UInt8>) -> Void
    ) throws(ServerSentEventError) {
        try checkLine(range.count)
        var range = range
        if isFirstLine {
            isFirstLine = false
            if bytes.starts(with: "\u{FEFF}", in: range) { range = range.dropFirst(3) }
        }
        if range.isEmpty {
            dispatch(bytes, onEvent)
            return
        }
        guard let field = Field(line: bytes, range) else { return }
        switch field.name {
        case .data:
            block.addData(field.value, of: bytes)
            if block.dataCount > maxEventBytes { throw fail() }
        case .event:
            block.event = bytes.text(in: field.value)
        case .id:
            if !bytes.contains(0, in: field.value) { block.id = bytes.text(in: field.value) }
        case .retry:
            if let time = bytes.decimal(in: field.value) {
                block.retry = time
                reconnectionTime = time
            }
        }
    }

    private mutating func dispatch(
        _ bytes: Span<UInt8>, _ onEvent: (_ fields: ServerSentEvent.Fields, _ data: Span<UInt8>) -> Void
    ) {
        if let id = block.id { lastEventID = id }
        if block.hasData {
            var event = "message"
            if let named = block.event, !named.isEmpty { event = named }
            let fields = ServerSentEvent.Fields(event: event, id: lastEventID, retry: block.retry)
            if let fresh = block.freshData {
                onEvent(fields, bytes.extracting(fresh))
            } else {
                onEvent(fields, block.keptData.span)
            }
        }
        block.reset()
    }
}

/// Why an event stream can't be read on.
public enum ServerSentEventError: Error, Sendable, Equatable, CustomStringConvertible {
    /// An event's data or one line is over the parser's bound.
    case eventTooLarge(limit: Int)

    public var description: String {
        switch self {
        case .eventTooLarge(let limit): "an event of the stream has more than \(limit) bytes"
        }
    }
}
