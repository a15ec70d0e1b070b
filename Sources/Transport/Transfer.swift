// One request while libcurl works on it: takes head and body from its callbacks to the exchange.

import CCurl

/// Lives on the curl thread only.
final class Transfer {
    let exchange: Exchange
    var easy: CurlEasy
    var deadlines: TransferDeadlines
    /// Why a callback stopped the transfer; libcurl itself then only knows that one did.
    private(set) var failure: TransportError?
    /// Something arrived that the exchange's reader wasn't told about.
    var isDirty = false
    /// The handle's multi, to which it is added and from which it is removed.
    let multi: CurlMulti
    /// Other streams may share the connection, so a slow reader is theirs to suffer.
    private(set) var isMultiplexed = false
    /// The connection's, where libcurl has said it.
    var socket: Int32?
    /// Times that bytes of the body were handed on.
    private var pieces = 0

    /// A body that comes in more pieces than this is a stream; most others come in one or two.
    private static let piecesOfAStream = 2

    private unowned let loop: CurlLoop
    private var headParser: ResponseHeadParser
    private var head: ResponseHeadParser.Head?
    private let mayBeSent: (@Sendable () -> Bool)?

    init?(
        _ exchange: Exchange, _ request: HTTPRequest, at target: RequestTarget, in multi: CurlMulti,
        on loop: CurlLoop
    ) {
        guard let easy = CurlEasy() else { return nil }
        let configuration = loop.configuration
        self.exchange = exchange
        self.multi = multi
        self.loop = loop
        self.easy = easy
        mayBeSent = request.mayBeSent
        headParser = ResponseHeadParser(maxBytes: configuration.maxHeadBytes)
        deadlines = TransferDeadlines(
            start: exchange.begun, idle: request.idleTimeout ?? configuration.idleTimeout,
            total: request.totalTimeout,
            slowReader: configuration.slowReaderTimeout)
        self.easy.configure(request, at: target, with: configuration)
        if request.mayBeSent != nil || request.totalTimeout != nil {
            self.easy.setGate { receiver, _, _, _, _ in
                Transfer.from(receiver)?.isStillWanted() ?? false
                    ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT
            }
        }
        self.easy.setReceiver(
            Unmanaged.passUnretained(self).toOpaque(),
            header: { bytes, size, count, receiver in
                Transfer.from(receiver)?.takeHeader(UnsafeRawBufferPointer(start: bytes, count: size * count))
                    ?? 0
            },
            body: { bytes, size, count, receiver in
                let chunk = UnsafeRawBufferPointer(start: bytes, count: size * count).bindMemory(
                    to: UInt8.self)
                return Transfer.from(receiver)?.takeBody(chunk.span) ?? 0
            })
    }

    /// The transfer behind a handle's private pointer, alive as long as the loop has it in its table.
    static func from(_ pointer: UnsafeMutableRawPointer?) -> Transfer? {
        pointer.map { Unmanaged<Transfer>.fromOpaque($0).takeUnretainedValue() }
    }

    /// The transfer of a handle that is added to a multi.
    static func of(_ easy: UnsafeMutableRawPointer) -> Transfer? {
        var pointer: UnsafeMutablePointer<CChar>?
        ccurl_get_string(easy, CURLINFO_PRIVATE, &pointer)
        return from(pointer.map { UnsafeMutableRawPointer($0) })
    }

    /// Hands on what arrived together.
    func flush() {
        if let head {
            self.head = nil
            multi.sawResponse(multiplexed: head.isMultiplexed)
            exchange.deliver(head)
        }
        exchange.flush()
        pieces += 1
        // An HTTP/2 connection may bring the beginning of another body at any time.
        if pieces == Self.piecesOfAStream, !isMultiplexed, let socket { multi.isFlowing(socket) }
    }

    /// There is a connection, and the request is about to be written to it. Asks the clock itself: the loop's time is
    /// of its last wake-up, and the process may have stood still since.
    private func isStillWanted() -> Bool {
        if let expired = deadlines.expired(at: CurlLoop.monotonicNow()) {
            failure = .expired(expired, target: exchange.target)
        } else if let mayBeSent, !mayBeSent() {
            failure = TransportError(
                .withheld, "the request to \(exchange.target) was not to be sent any more")
        }
        return failure == nil
    }

    /// - Returns: what libcurl is to take for done; less than it offered stops the transfer.
    private func takeHeader(_ line: UnsafeRawBufferPointer) -> Int {
        deadlines.activity(at: loop.now)
        switch headParser.line(line) {
        case .more:
            return line.count
        case .complete(let head):
            self.head = head
            isMultiplexed = head.isMultiplexed
            loop.markDirty(self)
            return line.count
        case .tooLarge:
            failure = TransportError(
                .tooLarge,
                "the response head of \(exchange.target) has more than \(headParser.maxBytes) bytes")
            return 0
        case .malformed:
            failure = TransportError(.malformedResponse, "\(exchange.target) answered what is not HTTP")
            return 0
        }
    }

    private func takeBody(_ chunk: Span<UInt8>) -> Int {
        deadlines.activity(at: loop.now)
        loop.markDirty(self)
        switch exchange.append(chunk) {
        case .accepted:
            return chunk.count
        case .pause:
            loop.readerIsBehind(self)
            return Int(CURL_WRITEFUNC_PAUSE)
        case .abandoned:
            return 0
        }
    }

    /// The error for libcurl's result, in which a callback's own reason wins.
    func error(for code: CURLcode) -> TransportError? {
        if let failure { return failure }
        if code == CURLE_OK { return nil }
        return TransportError(
            code, target: exchange.target,
            systemError: Int32(truncatingIfNeeded: easy.long(CURLINFO_OS_ERRNO)),
            verifyResult: easy.long(CURLINFO_SSL_VERIFYRESULT))
    }
}
