/// Decides when a token is read again from its file. Pure but for the reading, which the caller does.

import Synchronization

struct TokenCache: Sendable {
    /// The kubelet renews a token long before it expires, at four fifths of its life, which is 10 minutes at least.
    static let freshFor: Duration = .seconds(60)

    private var token: String?
    private var readAt: ContinuousClock.Instant?

    /// The token to send, or nil where it has to be read first.
    func token(at now: ContinuousClock.Instant) -> String? {
        guard let token, let readAt, now - readAt < Self.freshFor else { return nil }
        return token
    }

    mutating func wasRead(_ token: String, at now: ContinuousClock.Instant) {
        self.token = token
        readAt = now
    }

    /// The file can't be read just now: the last token may still be good.
    var last: String? { token }

    /// The server refused this token, so what is in the file may be another by now.
    mutating func wasRefused() {
        readAt = nil
    }
}

/// The token that requests are sent with. Safe to use from any task.
final class Credential: Sendable {
    private let source: ClusterAccess.TokenSource?
    private let cache = Mutex(TokenCache())

    init(_ source: ClusterAccess.TokenSource?) {
        self.source = source
    }

    /// Nil where the cluster asks for none, or for a client certificate.
    func token(at now: ContinuousClock.Instant) throws(ClusterAccessError) -> String? {
        switch source {
        case nil: return nil
        case .fixed(let token): return token
        case .file(let path):
            if let token = cache.withLock({ $0.token(at: now) }) { return token }
            do {
                let token = try SmallFile.text(path, "the token")
                cache.withLock { $0.wasRead(token, at: now) }
                return token
            } catch {
                if let last = cache.withLock({ $0.last }) { return last }
                throw error
            }
        }
    }

    func wasRefused() {
        cache.withLock { $0.wasRefused() }
    }
}
