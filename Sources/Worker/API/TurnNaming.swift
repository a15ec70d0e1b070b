/// How the requests of OpenAI's APIs name their turn and its session: by a key, as an SDK's retry of an equal body, or not at all.
import Crypto
import Memory
import NIOHTTP1

extension TurnOrder {
    /// Takes over from the request what tells this turn from others.
    mutating func identify(_ headers: HTTPHeaders, body: [UInt8]) throws(APIError) {
        if let key = headers.first(name: "idempotency-key") {
            guard let id = TurnID(key) else {
                throw .invalid(
                    "Idempotency-Key",
                    "A turn id has 1 to \(TurnID.maximumBytes) bytes and no control characters.")
            }
            turnID = id
        }
        digest = SHA256.hash(data: body).hexPrefix
        isRetry = headers.first(name: "x-stainless-retry-count").flatMap { Int($0) } ?? 0 > 0
    }
}

extension PublicAPI {
    /// The session that the request names; else the one that an earlier try of it was given, or a new one.
    func session(
        _ named: SessionID?, of order: TurnOrder, _ principal: Principal
    ) -> SessionID {
        if let named { return named }
        let key = RecentRequests.Key(
            principal: principal, digest: order.turnID?.value ?? order.digest ?? "")
        let isKnown = order.isRetry || order.turnID != nil
        if isKnown, let again = recent.session(for: key) { return again }
        let minted = SessionID.mint()
        recent.remember(minted, for: key)
        return minted
    }
}

extension SHA256Digest {
    /// The first half, in hexadecimal.
    var hexPrefix: String {
        prefix(16).map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }
}
