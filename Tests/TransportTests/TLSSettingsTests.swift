import Foundation
import Testing

@testable import Transport

/// Client certificates, authorities in memory, and servers under another name than their certificate's.
@Suite struct TLSSettingsTests {
    private static func bytes(_ file: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: file)))
    }

    @Test("A server that asks for a client certificate gets it, and refuses who has none or another's")
    func clientCertificate() async throws {
        let certificate = try await Certificate()
        let client = try await Certificate()
        let stranger = try await Certificate()
        let server = try await TestServer(.http1, certificate: certificate, clientAuthority: client.file)
        var tls = TLSSettings(authorities: try Self.bytes(certificate.file))
        for (identity, isWelcome) in [(client, true), (stranger, false), (nil, false)] {
            tls.certificate = try identity.map { try Self.bytes($0.file) }
            tls.key = try identity.map { try Self.bytes($0.keyFile) }
            try await withClient({ [tls] in $0.tls = tls }) { client in
                for _ in 0..<2 {
                    let error = try await transportError {
                        let response = try await client.execute(HTTPRequest(url: server.url("/hello")))
                        #expect(try await response.body.text() == "hello")
                    }
                    // TLS 1.3 tells the client after it believes to be connected.
                    #expect((error == nil) == isWelcome)
                    #expect(isWelcome || error?.kind == .tls || error?.kind == .reset)
                }
            }
        }
        #expect(try await server.counters().requests == 2)
    }

    @Test(
        "A key that belongs to another certificate, or is none, is a fault of TLS whose words show nothing of it"
    )
    func wrongKey() async throws {
        let certificate = try await Certificate()
        let other = try await Certificate()
        let server = try await TestServer(.http1, certificate: certificate)
        for key in [try Self.bytes(other.keyFile), Array("-----BEGIN hunter2-----".utf8)] {
            var tls = TLSSettings(authorities: try Self.bytes(certificate.file))
            tls.certificate = try Self.bytes(certificate.file)
            tls.key = key
            try await withClient({ [tls] in $0.tls = tls }) { client in
                let error = try await transportError {
                    _ = try await client.execute(HTTPRequest(url: server.url("/hello")))
                }
                #expect(error?.kind == .tls)
                #expect(error?.message.contains("hunter2") == false)
            }
        }
    }

    @Test("A server is asked for the name that its certificate is for, and told its own in the request")
    func serverName() async throws {
        let certificate = try await Certificate(names: "DNS:kubernetes.default")
        let server = try await TestServer(.http1, certificate: certificate)
        var tls = TLSSettings(authorities: try Self.bytes(certificate.file))
        try await withClient({ [tls] in $0.tls = tls }) { client in
            let error = try await transportError {
                _ = try await client.execute(HTTPRequest(url: server.url("/hello")))
            }
            #expect(error?.kind == .tls)
        }
        tls.serverName = "kubernetes.default"
        try await withClient({ [tls] in $0.tls = tls }) { client in
            for _ in 0..<2 {
                let response = try await client.execute(HTTPRequest(url: server.url("/echo?a=b%2Fc&d=1")))
                let echo = try await response.body.text()
                #expect(echo.contains("\"target\": \"/echo?a=b%2Fc&d=1\""))
                #expect(echo.contains("\"host\": \"127.0.0.1:\(server.port)\""))
            }
        }
        #expect(try await server.counters().requests == 2)
    }

    @Test("A server is trusted blindly only where that is asked for")
    func unverified() async throws {
        let certificate = try await Certificate(names: "DNS:elsewhere")
        let server = try await TestServer(.http1, certificate: certificate)
        for isVerified in [true, false] {
            try await withClient({ $0.tls.isPeerVerified = isVerified }) { client in
                let error = try await transportError {
                    _ = try await client.execute(HTTPRequest(url: server.url("/hello")))
                }
                #expect(error?.kind == (isVerified ? .tls : nil))
            }
        }
    }
}
