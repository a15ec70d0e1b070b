// Turns libcurl's result codes into transport errors whose words hold nothing of the request but host and port.

import CCurl
import Glibc

extension TransportError {
    static func shutdown(_ target: String) -> TransportError {
        TransportError(.shutdown, "the request to \(target) ended because the HTTP client was shut down")
    }

    static func expired(_ deadline: TransferDeadlines.Expired, target: String) -> TransportError {
        switch deadline {
        case .idle: TransportError(.timeout(.idle), "\(target) sent nothing for longer than the idle timeout")
        case .total:
            TransportError(.timeout(.total), "the response of \(target) took longer than it may in total")
        case .slowReader: .slowReader(target: target)
        }
    }

    static func slowReader(target: String) -> TransportError {
        TransportError(
            .slowReader,
            "the reader of a response of \(target) is too slow for a connection that other streams share; ask for "
                + "HTTP/1.1 where readers may be slow")
    }

    /// - Parameters:
    ///   - systemError: the errno of the failed connection attempt, or 0.
    ///   - verifyResult: OpenSSL's reason for refusing the peer's certificate, or 0.
    init(_ code: CURLcode, target: String, systemError: Int32, verifyResult: Int) {
        // libcurl's error buffer can quote what the peer or the caller sent, so only its constant texts are used.
        let reason = String(cString: curl_easy_strerror(code))
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST:
            self.init(.resolve, "the name of \(target) has no address")
        case CURLE_COULDNT_RESOLVE_PROXY:
            self.init(.resolve, "the name of the proxy for \(target) has no address")
        case CURLE_COULDNT_CONNECT, CURLE_PROXY, CURLE_INTERFACE_FAILED:
            let why = systemError == 0 ? reason : String(cString: strerror(systemError))
            self.init(.connect, "no connection to \(target): \(why)")
        case CURLE_OPERATION_TIMEDOUT:
            self.init(.timeout(.connect), "no connection to \(target) within the connect timeout")
        case CURLE_PEER_FAILED_VERIFICATION:
            self.init(.tls, "\(target) is not trusted: \(Self.certificateFault(verifyResult) ?? reason)")
        case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER, CURLE_SSL_CACERT_BADFILE,
            CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_ENGINE_INITFAILED,
            CURLE_USE_SSL_FAILED:
            self.init(.tls, "no TLS connection to \(target): \(reason)")
        case CURLE_URL_MALFORMAT, CURLE_BAD_FUNCTION_ARGUMENT:
            self.init(.invalidRequest, "the request to \(target) can't be sent: \(reason)")
        // An answer without a status line is what libcurl calls an unsupported protocol (HTTP/0.9).
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY, CURLE_BAD_CONTENT_ENCODING, CURLE_HTTP2:
            self.init(.malformedResponse, "\(target) answered what is not HTTP: \(reason)")
        case CURLE_PARTIAL_FILE, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_GOT_NOTHING, CURLE_HTTP2_STREAM:
            self.init(.reset, "the response of \(target) broke off: \(reason)")
        default:
            self.init(.reset, "the request to \(target) failed: \(reason)")
        }
    }

    /// The faults that people meet most, by the numbers of OpenSSL's x509_vfy.h.
    private static func certificateFault(_ verifyResult: Int) -> String? {
        switch verifyResult {
        case 9: "its certificate is not valid yet"
        case 10: "its certificate has expired"
        case 18: "its certificate is self-signed"
        case 19, 20, 21: "no trusted authority signed its certificate"
        case 62: "its certificate is for another host name"
        default: nil
        }
    }
}
