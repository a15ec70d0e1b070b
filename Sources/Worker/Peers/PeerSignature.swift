/// What one worker sends with a request that it hands to another, and how the other knows that it came from the pool. Pure.
import Crypto
import Foundation
import NIOHTTP1

/// The pool's workers share a key that only who may read the pool's memory can read. A request is signed with it: for whom it is, when
/// it was made, for whom it speaks, and all of it that a route looks at. So neither a key of a client nor that of the pool travels.
struct PeerSignature: Sendable, Equatable {
    /// How far the clocks of two pods may be apart; within it a request could be sent again by who had listened.
    static let tolerance: Int64 = 30_000

    enum Field {
        static let target = "x-agentpool-peer"
        static let time = "x-agentpool-peer-time"
        static let credential = "x-agentpool-peer-credential"
        static let mayName = "x-agentpool-peer-may-name-user"
        static let signature = "x-agentpool-peer-signature"
        static let all: Set<String> = [target, time, credential, mayName, signature]
    }

    /// What of a request's fields the routes look at.
    static let signedFields = [
        "x-session-id", "x-agentpool-user", "idempotency-key", "last-event-id", "x-stainless-retry-count",
        "cookie",
    ]

    /// The fields to send along.
    static func fields(
        for target: String, caller: Credentials.Caller, method: String, uri: String,
        headers: [(name: String, value: String)], body: some Collection<UInt8>, now: Int64, key: [UInt8]
    ) -> [(name: String, value: String)] {
        let fields = [
            (name: Field.target, value: target), (name: Field.time, value: String(now)),
            (name: Field.credential, value: caller.credential),
            (name: Field.mayName, value: caller.mayNameEndUser ? "1" : "0"),
        ]
        let text = text(method, uri, fields + headers, body)
        let code = HMAC<SHA256>.authenticationCode(for: text, using: SymmetricKey(data: key))
        return fields + [(name: Field.signature, value: Data(code).base64EncodedString())]
    }

    enum Refusal: Error, Equatable {
        /// Made for another worker: the address is a new one's by now.
        case otherWorker
        case forged
        case stale
    }

    /// Whom the request speaks for.
    static func caller(
        _ head: HTTPRequestHead, body: some Collection<UInt8>, own: String, now: Int64, key: [UInt8]
    ) throws(Refusal) -> Credentials.Caller {
        let headers = head.headers.map { (name: $0.name.lowercased(), value: $0.value) }
        func value(_ name: String) -> String? { headers.first { $0.name == name }?.value }
        guard value(Field.target) == own else { throw .otherWorker }
        guard let code = value(Field.signature).flatMap({ Data(base64Encoded: $0) }), !key.isEmpty,
            let credential = value(Field.credential), let mayName = value(Field.mayName),
            HMAC<SHA256>.isValidAuthenticationCode(
                code, authenticating: text(head.method.rawValue, head.uri, headers, body),
                using: SymmetricKey(data: key))
        else { throw .forged }
        guard let time = value(Field.time).flatMap({ Int64($0) }), abs(now - time) <= tolerance else {
            throw .stale
        }
        return Credentials.Caller(credential: credential, mayNameEndUser: mayName == "1")
    }

    /// A line for each part, each with its length before it: no two requests have one text.
    private static func text(
        _ method: String, _ uri: String, _ headers: [(name: String, value: String)],
        _ body: some Collection<UInt8>
    ) -> Data {
        var text = "agentpool-peer-1\n"
        func add(_ part: String) { text += "\(part.utf8.count) \(part)\n" }
        add(method)
        add(uri)
        for name in [Field.target, Field.time, Field.credential, Field.mayName] + signedFields {
            let values = headers.filter { $0.name.lowercased() == name }.map(\.value)
            add(name)
            add(String(values.count))
            for value in values { add(value) }
        }
        var data = Data(text.utf8)
        data.append(contentsOf: SHA256.hash(data: Array(body)))
        return data
    }
}
