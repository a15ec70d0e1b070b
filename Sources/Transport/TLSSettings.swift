/// Whom a client trusts over TLS, and what it shows of itself. Everything is PEM; printing it shows no key.

public struct TLSSettings: Sendable {
    /// Certificate authorities that replace the system's, and `caFile`.
    public var authorities: [UInt8]?
    /// The client's certificate with those between it and its authority; goes with `key`.
    public var certificate: [UInt8]?
    /// The key of `certificate`, without a passphrase.
    public var key: [UInt8]?
    /// The name that servers' certificates are for, and that is asked of them, where it isn't the URL's host.
    public var serverName: String?
    /// Without it anybody can play the server: for tests, and where the network itself is trusted.
    public var isPeerVerified = true

    public init() {}

    public init(authorities: [UInt8]) {
        self.authorities = authorities
    }
}

extension TLSSettings: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        "authorities: \(authorities == nil ? "the system's" : "given"), client certificate: "
            + "\(certificate == nil ? "none" : "given"), verified: \(isPeerVerified)"
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["isPeerVerified": isPeerVerified]) }
}
