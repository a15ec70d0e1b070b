// Decides which proxy a request goes through, the way curl and most Unix tools do.

import Glibc

/// The proxies for each scheme and the hosts that are reached without them.
public struct ProxySettings: Sendable, Equatable {
    public var http: String?
    public var https: String?
    /// Hosts that are reached directly, comma-separated, in the form of `no_proxy`; `*` for all.
    public var exceptions: String?

    public init(http: String? = nil, https: String? = nil, exceptions: String? = nil) {
        self.http = http
        self.https = https
        self.exceptions = exceptions
    }

    /// Reads `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`; all but the first in upper case too, for a
    /// CGI server puts a client's `Proxy` header into `HTTP_PROXY`.
    public init(environment value: (String) -> String?) {
        func first(_ names: String...) -> String? {
            for name in names {
                if let found = value(name), !found.isEmpty { return found }
            }
            return nil
        }
        let all = first("all_proxy", "ALL_PROXY")
        http = first("http_proxy") ?? all
        https = first("https_proxy", "HTTPS_PROXY") ?? all
        exceptions = first("no_proxy", "NO_PROXY")
    }

    /// The settings of this process's environment.
    public static var environment: ProxySettings {
        ProxySettings { name in getenv(name).map { String(cString: $0) } }
    }
}
