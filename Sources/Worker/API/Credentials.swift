/// Decides who a request speaks for: the key's name, and whether it may name an end user. A snapshot; replaced whole when the Secret changes.
import Crypto
import Memory
import NIOHTTP1

struct Credentials: Sendable {
    /// Names by the SHA-256 of the key: comparing digests tells an attacker nothing by its timing.
    private let names: [SHA256Digest: String]?
    private let trusted: Set<String>

    /// No keys: everybody may come in and name an end user. The listener then stays on loopback unless told otherwise.
    static let open = Credentials(names: nil, trusted: [])

    private init(names: [SHA256Digest: String]?, trusted: Set<String>) {
        self.names = names
        self.trusted = trusted
    }

    /// - Parameter keys: the Secret: a principal's name to its key. Surrounding white space (a file's last newline) is no part of a key.
    init(keys: [String: String], trusted: [String]) {
        var names: [SHA256Digest: String] = [:]
        for (name, key) in keys {
            let key = key.trimmingWhitespace
            if !key.isEmpty { names[SHA256.hash(data: Array(key.utf8))] = name }
        }
        self.init(names: names, trusted: Set(trusted))
    }

    /// A request whose key has been looked at.
    struct Caller: Sendable, Equatable {
        /// The key's name in the Secret, or `anonymous`.
        var credential: String
        var mayNameEndUser: Bool

        /// - Parameter user: the body's `user`; the header wins where both are there.
        func principal(pool: String, headers: HTTPHeaders, user: String?) throws(APIError) -> Principal {
            let header = headers.first(name: "x-agentpool-user")
            guard let name = header ?? user, !name.isEmpty else {
                return Principal(pool: pool, credential: credential, endUser: nil)
            }
            let field = header == nil ? "user" : "X-AgentPool-User"
            guard mayNameEndUser else {
                throw APIError(
                    .forbidden, type: "permission_error", code: "end_user_not_allowed",
                    "The key `\(credential)` may not name an end user. Leave `\(field)` out, or list the key in the "
                        + "pool's spec.auth.trustedKeys.", param: field)
            }
            guard name.utf8.count <= 256 else {
                throw .invalid(field, "An end user's name may take 256 bytes.")
            }
            return Principal(pool: pool, credential: credential, endUser: name)
        }
    }

    func caller(_ headers: HTTPHeaders) throws(APIError) -> Caller {
        guard let names else { return Caller(credential: "anonymous", mayNameEndUser: true) }
        guard let field = headers.first(name: "authorization") else {
            throw APIError(
                .unauthorized, type: "authentication_error", code: "missing_api_key",
                "Send an API key as `Authorization: Bearer KEY`.")
        }
        let parts = field.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer",
            let name = names[SHA256.hash(data: Array(String(parts[1]).trimmingWhitespace.utf8))]
        else {
            throw APIError(
                .unauthorized, type: "authentication_error", code: "invalid_api_key",
                "This API key is not known to the pool.")
        }
        return Caller(credential: name, mayNameEndUser: trusted.contains(name))
    }
}

extension String {
    fileprivate var trimmingWhitespace: String {
        var rest = self[...]
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}
