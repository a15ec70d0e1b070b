/// Decides what happens to a response's bytes between their arrival and their reader: what waits, when the sender
/// is held back and let go, and who is woken. A value without locks; `Reader` is whatever waits for bytes.
struct BodyBuffer<Reader> {
    enum AppendAction: Equatable {
        case accepted
        /// Not taken: to be offered again when the reader has taken what waits.
        case pause
        /// Nobody reads this body any more.
        case abandoned
    }

    enum ReadAction {
        /// The bytes, and whether the sender, which was held back, is to be let go.
        case deliver([UInt8], release: Bool)
        case end
        case fail(TransportError)
        case wait
    }

    enum WakeAction {
        case none
        case deliver(Reader, [UInt8], release: Bool)
        case end(Reader)
        case fail(Reader, TransportError)
    }

    private enum End {
        case open
        case complete
        case failed(TransportError)
    }

    /// From here on the sender is held back; it is let go when the reader has taken what waits.
    let highMark: Int

    private var bytes: [UInt8] = []
    private var reader: Reader?
    private var end = End.open
    private(set) var isHeldBack = false
    /// The most bytes that ever waited here.
    private(set) var peak = 0

    init(highMark: Int) {
        self.highMark = highMark
    }

    var waiting: Int { bytes.count }

    /// Bytes arrived. A waiting reader isn't woken before `flush`, so pieces that arrived together leave together.
    mutating func append(_ chunk: Span<UInt8>) -> AppendAction {
        guard case .open = end else { return .abandoned }
        if bytes.count >= highMark {
            isHeldBack = true
            return .pause
        }
        if bytes.isEmpty { bytes = [UInt8](copying: chunk) } else { bytes.append(copying: chunk) }
        peak = max(peak, bytes.count)
        return .accepted
    }

    /// All that arrived together has been appended: wakes the reader if there is something for it.
    mutating func flush() -> WakeAction {
        guard let waiter = reader else { return .none }
        switch take() {
        case .wait:
            return .none
        case .deliver(let chunk, let release):
            reader = nil
            return .deliver(waiter, chunk, release: release)
        case .end:
            reader = nil
            return .end(waiter)
        case .fail(let error):
            reader = nil
            return .fail(waiter, error)
        }
    }

    /// What can be read at once; `.wait` if nothing can.
    mutating func take() -> ReadAction {
        if !bytes.isEmpty {
            var chunk: [UInt8] = []
            swap(&chunk, &bytes)
            let release = isHeldBack
            isHeldBack = false
            return .deliver(chunk, release: release)
        }
        switch end {
        case .open: return .wait
        case .complete: return .end
        case .failed(let error): return .fail(error)
        }
    }

    /// Reads, or leaves `reader` to be woken by `flush`, `finish` or `fail`.
    mutating func read(_ reader: Reader) -> ReadAction {
        let action = take()
        if case .wait = action {
            precondition(self.reader == nil, "a response's body has one reader at a time")
            self.reader = reader
        }
        return action
    }

    /// The body is whole. What waits is still to be read.
    mutating func finish() -> WakeAction {
        if case .open = end { end = .complete }
        return flush()
    }

    /// The body broke off. What waits is still to be read; then comes the error.
    mutating func fail(_ error: TransportError) -> WakeAction {
        if case .open = end { end = .failed(error) }
        return flush()
    }

    /// The reader gave up: what waits is dropped.
    mutating func abandon(_ error: TransportError) -> WakeAction {
        bytes = []
        isHeldBack = false
        if case .complete = end {} else { end = .failed(error) }
        return flush()
    }
}
