import PoolAPI
import Transport

/// How a request reaches a model's server: address, key, one retry where no connection came about, errors in
/// one shape.
struct ModelEndpoint: Sendable {
    /// Reads a Secret's key each time it is asked, so that a changed one is used at once.
    typealias Secrets = @Sendable (SecretKeyRef) -> String?

    static let errorBodyLimit = 64 * 1024

    /// The model's place in the manifest, for errors: `spec.models[0]`.
    let field: String
    let model: AgentPoolSpec.Model
    let http: HTTPClient
    let secrets: Secrets
    /// How long the server may be silent; nil leaves it to the HTTP client.
    var idleTimeout: Duration?

    /// A successful response, and the secret that was sent, so that no error of the stream can show it.
    struct Answer {
        let response: HTTPResponse
        let secret: String?
    }

    /// Posts a JSON body and returns at a successful response's head; every other outcome is thrown.
    ///
    /// - Parameter timeout: for the whole exchange, the response's body included.
    func post(
        _ path: String, body: [UInt8], accept: String, timeout: Duration? = nil
    ) async throws(ModelError) -> Answer {
        let secret = try secret()
        var headers = [("Content-Type", "application/json"), ("Accept", accept)]
        if let secret { headers.append(("Authorization", "Bearer " + secret)) }
        let request = HTTPRequest(
            method: "POST", url: try url(path), headers: headers.map { (name: $0.0, value: $0.1) },
            body: body,
            version: model.httpVersion == .http2 ? .http2 : .http1, idleTimeout: idleTimeout,
            totalTimeout: timeout)
        let response = try await execute(request)
        guard (200..<300).contains(response.status) else {
            throw await rejection(response, hiding: secret)
        }
        return Answer(response: response, secret: secret)
    }

    /// Tries again once, and only where no byte of the request can have reached the server.
    private func execute(_ request: HTTPRequest) async throws(ModelError) -> HTTPResponse {
        do {
            return try await http.execute(request)
        } catch  where error.isBeforeConnection {
            do {
                return try await http.execute(request)
            } catch {
                throw ModelError(transport: error, model: model.name)
            }
        } catch {
            throw ModelError(transport: error, model: model.name)
        }
    }

    private func url(_ path: String) throws(ModelError) -> String {
        guard let base = model.baseURL, !base.isEmpty else {
            throw ModelError(
                .configuration,
                "\(field).baseURL is missing: name the API's root, which ends in /v1 as a rule.")
        }
        return base.hasSuffix("/") ? base.dropLast() + path : base + path
    }

    private func secret() throws(ModelError) -> String? {
        guard let reference = model.apiKeySecretRef else { return nil }
        guard let value = secrets(reference) else {
            throw unusable(reference, "is not there: add it to the Secret, or name another")
        }
        // A mounted file often ends in a line end that is no part of the key.
        let key = String(Sentences.trimmed(value))
        guard !key.isEmpty, key.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw unusable(
                reference, "holds no API key: put one into the Secret, printable ASCII without spaces")
        }
        return key
    }

    private func unusable(_ reference: SecretKeyRef, _ why: String) -> ModelError {
        ModelError(
            .configuration,
            "\(field).apiKeySecretRef: the key \(reference.key) of the Secret \(reference.name) \(why).")
    }

    private func rejection(_ response: HTTPResponse, hiding secret: String?) async -> ModelError {
        let body: [UInt8]
        do {
            body = try await response.body.collect(upTo: Self.errorBodyLimit)
        } catch {
            // The status alone tells enough; the text was only to explain it.
            body = []
        }
        let text = UpstreamErrorText(body: body)
        let said = text.shown(hiding: secret).map { ": " + $0 } ?? "."
        let tooLong = response.status < 500 && text.saysContextTooLong
        return ModelError(
            tooLong ? .contextTooLong : .rejected,
            "The server of model \(model.name) answered with status \(response.status)\(said)",
            status: response.status, code: text.code,
            retryAfter: response.headers["Retry-After"].flatMap(Self.headerSafe))
    }

    /// Seconds or an HTTP date; anything else is not passed on.
    private static func headerSafe(_ value: String) -> String? {
        let isPlain =
            !value.isEmpty && value.utf8.count <= 40 && value.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
        return isPlain ? value : nil
    }
}

extension TransportError {
    /// Nothing of the request can have arrived.
    fileprivate var isBeforeConnection: Bool {
        switch kind {
        case .resolve, .connect, .timeout(.connect): true
        default: false
        }
    }
}

extension ModelError {
    init(transport error: TransportError, model: String) {
        let kind: Kind =
            switch error.kind {
            case .invalidRequest: .configuration
            case .resolve, .connect, .tls, .reset, .overloaded, .shutdown: .unavailable
            case .timeout: .timeout
            case .malformedResponse, .tooLarge: .malformed
            case .slowReader: .interrupted
            case .cancelled, .withheld: .cancelled
            }
        self.init(kind, "The server of model \(model) gave no reply: \(error.message).")
    }
}
