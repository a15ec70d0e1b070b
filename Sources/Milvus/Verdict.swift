// Judges what came back from Milvus: its own status inside a reply, or a gRPC failure in place of one.
import GRPCCore

/// An error and whether the same call may pass later.
struct Failure {
    var kind: MilvusError.Kind
    var message: String
    var hope: RetryRule.Hope
}

extension Failure {
    /// Milvus' own codes that mean more than no.
    enum Code {
        static let unexpected = 1
        static let rateLimit = 8
        static let collectionNotFound = 100
        static let collectionNotLoaded = 101
        static let collectionNotFullyLoaded = 103
        static let invalidParameter = 1100
        /// Of servers before 2.3, and of milvus-lite beside the new one.
        static let legacyCollectionNotFound = 4
    }

    /// Nil where the status says success.
    init?(_ status: Wire.Status, showsReason: Bool) {
        guard status.code != 0 || status.errorCode != 0 else { return nil }
        let code = Int(status.code != 0 ? status.code : status.errorCode)
        let legacy = Int(status.errorCode)
        var words = Self.meaning(code: code, legacy: legacy) ?? "was refused"
        words += " (code \(code))"
        if showsReason, !status.reason.isEmpty { words += ": " + status.reason.prefix(300) }
        switch (code, legacy) {
        // Limits of rate, memory and disk: others' load, or a full server.
        case (4, _), (Code.rateLimit, _), (_, 49), (_, 53), (_, 54), (_, 48):
            self.init(kind: .overloaded, message: words, hope: .soon)
        // Not ready, time tick late, no leader, no replica: a server that starts, or moves its work.
        case (_, 45), (_, 46), (_, 50), (_, 55...57), (Code.collectionNotFullyLoaded, _):
            self.init(kind: .unavailable, message: words, hope: .soon)
        default:
            self.init(
                kind: status.retriable ? .unavailable : .rejected(code), message: words,
                hope: status.retriable ? .soon : .none)
        }
    }

    private static func meaning(code: Int, legacy: Int) -> String? {
        if legacy == Code.legacyCollectionNotFound { return "the collection is not there" }
        return switch code {
        case Code.collectionNotFound: "the collection is not there"
        case Code.collectionNotLoaded: "the collection is not loaded"
        case Code.collectionNotFullyLoaded: "the collection is not fully loaded yet"
        case 4, Code.rateLimit: "the server limits how much is asked of it"
        case 3: "the server's memory is full"
        case 7: "the server's disk is full"
        case Code.invalidParameter: "the server takes a parameter for invalid"
        default: nil
        }
    }

    init(_ error: any Error) {
        guard let error = error as? RPCError else {
            self.init(kind: .unavailable, message: "the connection failed", hope: .soon)
            return
        }
        let code = error.code.rawValue
        // The messages of gRPC errors may be the peer's words, so none is shown.
        switch error.code {
        case .unavailable:
            self.init(kind: .unavailable, message: "no connection, or it broke off", hope: .soon)
        case .deadlineExceeded:
            self.init(kind: .deadline, message: "no answer in time", hope: .soon)
        // Our own cancellation is told apart by the caller; this one is a stream that the peer reset.
        case .cancelled, .aborted:
            self.init(kind: .unavailable, message: "the connection broke off", hope: .soon)
        case .resourceExhausted:
            self.init(kind: .overloaded, message: "the server limits how much is asked of it", hope: .soon)
        case .unauthenticated:
            self.init(kind: .rejected(code), message: "the credentials were refused", hope: .none)
        case .permissionDenied:
            self.init(kind: .rejected(code), message: "the credentials don't allow it", hope: .none)
        case .unimplemented:
            self.init(kind: .unsupported, message: "the server doesn't know this call", hope: .none)
        // So says a proxy of 2.3.5 that has begun to listen before the rest of it is up.
        case .unknown where error.message.contains("not ready"):
            self.init(kind: .unavailable, message: "the server is not ready yet", hope: .soon)
        case .unknown, .internalError, .dataLoss:
            self.init(
                kind: .unavailable, message: "the answer is not Milvus', or the server failed", hope: .twice)
        default:
            self.init(kind: .rejected(code), message: "was refused (gRPC status \(code))", hope: .none)
        }
    }
}
