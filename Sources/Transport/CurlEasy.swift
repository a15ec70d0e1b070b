// Owns one libcurl easy handle and writes a request's options into it.

import CCurl
import Glibc

/// One transfer's handle. Lives on the curl thread only.
struct CurlEasy: ~Copyable {
    /// What libcurl reads at a time; as much may stay in it when a body pauses.
    static let receiveBuffer = 16 * 1024

    /// libcurl before 8.0 sends a second connection preface on a connection that began by prior knowledge and
    /// breaks it (curl commit cbe9d82c22), so there each such request needs a connection of its own.
    static let reusesPriorKnowledge = curl_version_info(CURLVERSION_FIRST).pointee.version_num >= 0x08_00_00

    let handle: UnsafeMutableRawPointer
    private var headers: UnsafeMutablePointer<curl_slist>?
    private var connectTo: UnsafeMutablePointer<curl_slist>?

    init?() {
        guard let handle = curl_easy_init() else { return nil }
        self.handle = handle
    }

    deinit {
        curl_easy_cleanup(handle)
        curl_slist_free_all(headers)
        curl_slist_free_all(connectTo)
    }

    mutating func configure(
        _ request: HTTPRequest, at target: RequestTarget, with configuration: HTTPClient.Configuration
    ) {
        set(CURLOPT_URL, target.url)
        setConnection(request, target, configuration)
        setMethod(request)
        setHeaders(request, target)
    }

    /// Hands every piece of the response to these callbacks, with `receiver` as their last argument.
    func setReceiver(
        _ receiver: UnsafeMutableRawPointer, header: curl_write_callback, body: curl_write_callback
    ) {
        ccurl_set_callback(handle, CURLOPT_HEADERFUNCTION, header)
        ccurl_set_pointer(handle, CURLOPT_HEADERDATA, receiver)
        ccurl_set_callback(handle, CURLOPT_WRITEFUNCTION, body)
        ccurl_set_pointer(handle, CURLOPT_WRITEDATA, receiver)
        ccurl_set_pointer(handle, CURLOPT_PREREQDATA, receiver)
        ccurl_set_pointer(handle, CURLOPT_PRIVATE, receiver)
    }

    /// Asks this callback when a connection is there, before anything of the request is written to it; the argument is
    /// the receiver's.
    func setGate(_ callback: curl_prereq_callback) {
        ccurl_set_gate(handle, callback)
    }

    private mutating func setConnection(
        _ request: HTTPRequest, _ target: RequestTarget, _ configuration: HTTPClient.Configuration
    ) {
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_NOSIGNAL, 1)
        // Otherwise a transfer cancelled while its name is looked up blocks the thread until the look-up ends.
        set(CURLOPT_QUICK_EXIT, 1)
        // A process that is started meanwhile would inherit the socket and keep the connection open after its end.
        ccurl_set_socket_opener(handle) { _, _, address in
            guard let address = address?.pointee else { return CURL_SOCKET_BAD }
            return socket(
                address.family, address.socktype | Int32(SOCK_CLOEXEC.rawValue), address.`protocol`)
        }
        set(CURLOPT_TCP_KEEPALIVE, 1)
        set(CURLOPT_BUFFERSIZE, Self.receiveBuffer)
        set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        set(
            CURLOPT_CONNECTTIMEOUT_MS,
            (request.connectTimeout ?? configuration.connectTimeout).curlMilliseconds)
        switch (request.version, target.isSecure) {
        case (.http1, _):
            set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        case (.http2, let isSecure):
            let version = isSecure ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE
            set(CURLOPT_HTTP_VERSION, Int(version))
            // Waits for a connection that is being made, for it may carry this stream too.
            set(CURLOPT_PIPEWAIT, 1)
            if !isSecure, !Self.reusesPriorKnowledge {
                set(CURLOPT_FRESH_CONNECT, 1)
                set(CURLOPT_FORBID_REUSE, 1)
            }
        }
        if let caFile = configuration.caFile { set(CURLOPT_CAINFO, caFile) }
        if target.isSecure { setTLS(configuration.tls, target) }
        let proxies = configuration.proxies
        // An empty proxy keeps libcurl from reading the environment itself.
        set(CURLOPT_PROXY, (target.isSecure ? proxies.https : proxies.http) ?? "")
        set(CURLOPT_NOPROXY, proxies.exceptions ?? "")
    }

    private mutating func setTLS(_ tls: TLSSettings, _ target: RequestTarget) {
        set(CURLOPT_CAINFO_BLOB, tls.authorities)
        set(CURLOPT_SSLCERT_BLOB, tls.certificate)
        set(CURLOPT_SSLKEY_BLOB, tls.key)
        if !tls.isPeerVerified {
            set(CURLOPT_SSL_VERIFYPEER, 0)
            set(CURLOPT_SSL_VERIFYHOST, 0)
        }
        if let route = target.route {
            connectTo = curl_slist_append(connectTo, route)
            ccurl_set_pointer(handle, CURLOPT_CONNECT_TO, connectTo)
        }
    }

    private func setMethod(_ request: HTTPRequest) {
        if request.method == "HEAD" {
            set(CURLOPT_NOBODY, 1)
            return
        }
        if request.body != nil || request.method == "POST" {
            let body = request.body ?? []
            set(CURLOPT_POST, 1)
            ccurl_set_offset(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
            // Copies: an array's address is good for the length of a call only. A small body leaves in one
            // write with the head.
            body.withUnsafeBytes { bytes in
                _ = ccurl_set_pointer(
                    handle, CURLOPT_COPYPOSTFIELDS, bytes.baseAddress ?? UnsafeRawPointer(handle))
            }
        }
        set(CURLOPT_CUSTOMREQUEST, request.method)
    }

    private mutating func setHeaders(_ request: HTTPRequest, _ target: RequestTarget) {
        // No pause before a body, and no type that nobody asked for.
        addHeader("Expect:")
        if !request.headers.contains(where: { $0.name.lowercased() == "content-type" }) {
            addHeader("Content-Type:")
        }
        // The URL has the name that the certificate is for.
        if target.route != nil { addHeader("Host: \(target.name)") }
        for (name, value) in request.headers {
            // libcurl's own sign for an empty value is a semicolon in the colon's place.
            addHeader(value.isEmpty ? "\(name);" : "\(name): \(value)")
        }
        ccurl_set_pointer(handle, CURLOPT_HTTPHEADER, headers)
    }

    private mutating func addHeader(_ line: String) {
        // Nil only where memory has run out.
        if let longer = curl_slist_append(headers, line) { headers = longer }
    }

    private func set(_ option: CURLoption, _ value: Int) {
        ccurl_set_long(handle, option, value)
    }

    private func set(_ option: CURLoption, _ value: String) {
        _ = value.withCString { ccurl_set_pointer(handle, option, $0) }
    }

    /// Copies the bytes; does nothing with none.
    private func set(_ option: CURLoption, _ value: [UInt8]?) {
        guard let value, !value.isEmpty else { return }
        value.withUnsafeBytes { bytes in
            var blob = curl_blob(
                data: UnsafeMutableRawPointer(mutating: bytes.baseAddress), len: bytes.count,
                flags: UInt32(CURL_BLOB_COPY))
            _ = withUnsafePointer(to: &blob) { ccurl_set_pointer(handle, option, $0) }
        }
    }

    func long(_ info: CURLINFO) -> Int {
        var value = 0
        ccurl_get_long(handle, info, &value)
        return value
    }

    func string(_ info: CURLINFO) -> String? {
        var value: UnsafeMutablePointer<CChar>?
        ccurl_get_string(handle, info, &value)
        return value.map { String(cString: $0) }
    }
}
