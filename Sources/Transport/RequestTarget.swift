// Checks that a request can be sent as it stands, and finds out where it goes.

import CCurl

/// Where a request goes: what libcurl makes of its URL.
struct RequestTarget: Sendable, Equatable {
    let isSecure: Bool
    /// `host:port`, for people.
    let name: String

    /// The request's URL, with the name that the server's certificate is for in its host's place.
    let url: String
    /// Where libcurl has to go instead of `url`'s host, in the form of `CURLOPT_CONNECT_TO`.
    let route: String?

    /// Scheme, host and port: what requests must have in common to share a connection.
    var origin: String { (isSecure ? "https://" : "http://") + name }

    /// - Parameter serverName: the name that an `https` server's certificate is for, where it isn't its host's.
    ///
    /// Throws `.invalidRequest`, with a message that shows no part of the request but a header's name.
    init(_ request: HTTPRequest, serverName: String? = nil) throws(TransportError) {
        guard request.method.isToken else {
            throw TransportError(.invalidRequest, "the request's method is not a word of HTTP")
        }
        for (name, value) in request.headers {
            guard name.isToken else {
                throw TransportError(.invalidRequest, "a request header's name is not a word of HTTP")
            }
            guard !value.utf8.contains(where: { $0 == 0 || $0 == Byte.lineFeed || $0 == Byte.carriageReturn })
            else {
                throw TransportError(
                    .invalidRequest, "the request header \(name) has a line break or NUL in it")
            }
            guard !["content-length", "transfer-encoding", "host"].contains(name.lowercased()) else {
                throw TransportError(.invalidRequest, "the request header \(name) is for the client to write")
            }
        }
        let unusable = TransportError(
            .invalidRequest, "the request's URL has to be http:// or https://, a host, and no credentials")
        guard !request.url.utf8.contains(0), let parts = URLParts(request.url) else { throw unusable }
        guard let scheme = parts.text(CURLUPART_SCHEME), scheme == "http" || scheme == "https",
            let host = parts.text(CURLUPART_HOST), let port = parts.text(CURLUPART_PORT)
        else { throw unusable }
        isSecure = scheme == "https"
        name = "\(host):\(port)"
        guard let serverName, isSecure else {
            url = request.url
            route = nil
            return
        }
        guard let renamed = parts.url(withHost: serverName) else { throw unusable }
        url = renamed
        route = "::\(name)"
    }
}

/// The owner of one URL that libcurl took apart.
private struct URLParts: ~Copyable {
    private let handle: OpaquePointer

    init?(_ url: String) {
        guard let handle = curl_url() else { return nil }
        guard curl_url_set(handle, CURLUPART_URL, url, UInt32(CURLU_DISALLOW_USER)) == CURLUE_OK else {
            curl_url_cleanup(handle)
            return nil
        }
        self.handle = handle
    }

    deinit {
        curl_url_cleanup(handle)
    }

    /// The URL with another host; nil where that can't be one.
    func url(withHost host: String) -> String? {
        guard curl_url_set(handle, CURLUPART_HOST, host, 0) == CURLUE_OK else { return nil }
        return text(CURLUPART_URL)
    }

    func text(_ part: CURLUPart) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard curl_url_get(handle, part, &text, UInt32(CURLU_DEFAULT_PORT)) == CURLUE_OK, let text else {
            return nil
        }
        defer { curl_free(text) }
        return String(cString: text)
    }
}

extension String {
    /// A token of RFC 9110, section 5.6.2.
    fileprivate var isToken: Bool {
        !isEmpty
            && utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }
}
