/// A response's body as it arrives.
///
/// An element is all that arrived since the last read, so a reader that keeps up gets each piece at once and one
/// that falls behind gets fewer, larger ones. One consumer only. Dropping the body, and cancelling the task that
/// reads it, ends the exchange and frees its connection.
public struct HTTPBody: AsyncSequence, Sendable {
    public typealias Element = [UInt8]
    public typealias Failure = TransportError

    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let lease: ExchangeLease

        /// The next bytes, never empty; nil at the body's end. What arrived before an error comes before it.
        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(TransportError) -> [UInt8]? {
            try await lease.exchange.read().get()
        }
    }

    private let lease: ExchangeLease

    init(_ exchange: Exchange) {
        lease = ExchangeLease(exchange: exchange)
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(lease: lease) }

    /// Ends the exchange now; reading on fails with `.cancelled`. Does nothing once the response is complete.
    public func cancel() {
        lease.exchange.abandon()
    }

    /// Reads the body to its end.
    ///
    /// Throws `.tooLarge` and ends the exchange when the body has more than `limit` bytes.
    public func collect(upTo limit: Int) async throws(TransportError) -> [UInt8] {
        var all: [UInt8] = []
        var iterator = makeAsyncIterator()
        while let chunk = try await iterator.next() {
            guard all.count + chunk.count <= limit else {
                lease.exchange.abandon()
                throw TransportError(
                    .tooLarge, "the response of \(lease.exchange.target) has more than \(limit) bytes")
            }
            if all.isEmpty { all = chunk } else { all.append(contentsOf: chunk) }
        }
        return all
    }
}

/// Gives the exchange up when nobody can read it any more.
private final class ExchangeLease: Sendable {
    let exchange: Exchange

    init(exchange: Exchange) {
        self.exchange = exchange
    }

    deinit {
        exchange.abandon()
    }
}
