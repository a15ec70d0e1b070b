/// Counts a client's requests, as `rest_client_requests_total` does.

import Synchronization

public final class ClientMetrics: Sendable {
    public struct Key: Sendable, Hashable, Comparable {
        public let method: String
        /// The HTTP status, or `<error>` where there was no answer.
        public let code: String

        public static func < (left: Key, right: Key) -> Bool {
            (left.method, left.code) < (right.method, right.code)
        }
    }

    private let counts = Mutex<[Key: Int]>([:])

    public init() {}

    public var requests: [Key: Int] { counts.withLock { $0 } }

    /// - Parameter status: 0 where there was no answer.
    func count(_ method: String, _ status: Int) {
        let key = Key(method: method, code: status == 0 ? "<error>" : String(status))
        counts.withLock { $0[key, default: 0] += 1 }
    }
}
