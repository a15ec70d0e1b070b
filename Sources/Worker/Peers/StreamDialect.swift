/// Decides what the last event of a stream is that can't come to its own end: each API's clients know another one. Pure.
import NIOCore

enum StreamDialect: Sendable, Equatable {
    case chatCompletions, responses, native

    /// Of what a request target answers with.
    init(target: String) {
        let path = target.prefix { $0 != "?" }
        if path.hasPrefix("/v1/sessions/") {
            self = .native
        } else {
            self = path.hasPrefix("/v1/responses") ? .responses : .chatCompletions
        }
    }

    /// A whole event.
    func cut(_ error: APIError) -> ByteBuffer {
        switch self {
        case .chatCompletions: ChatStreamEncoder.errorEvent(error)
        case .responses: ResponseStreamEncoder.cut(error)
        case .native: NativeEventEncoder.cut(error)
        }
    }
}
