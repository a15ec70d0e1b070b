import Testing

@testable import Transport

/// Whom the client trusts, and which way its requests go.
@Suite struct HTTPSecurityTests {
    @Test("A certificate that no known authority signed is refused unless its file is named")
    func trust() async throws {
        let certificate = try await Certificate()
        let server = try await TestServer(.http1, certificate: certificate)
        try await withClient { client in
            let error = try await transportError {
                _ = try await client.execute(HTTPRequest(url: server.url("/hello")))
            }
            #expect(error?.kind == .tls)
            #expect(error?.message.contains("self-signed") == true)
        }
        try await withClient({ $0.caFile = certificate.file }) { client in
            let response = try await client.execute(HTTPRequest(url: server.url("/hello", host: "localhost")))
            #expect(try await response.body.text() == "hello")
        }
    }

    @Test("A trusted certificate for another host is refused")
    func wrongHost() async throws {
        let certificate = try await Certificate()
        let server = try await TestServer(.http1, certificate: certificate)
        try await withClient({ $0.caFile = certificate.file }) { client in
            let error = try await transportError {
                _ = try await client.execute(HTTPRequest(url: server.url("/hello", host: "127.0.0.2")))
            }
            #expect(error?.kind == .tls || error?.kind == .connect)
        }
    }

    @Test("A request goes through the proxy that the environment names, except to hosts that it excepts")
    func proxy() async throws {
        let server = try await TestServer(.http1)
        let environment = ["http_proxy": server.url(""), "no_proxy": "127.0.0.1,.internal"]
        try await withClient({ $0.proxies = ProxySettings { environment[$0] } }) { client in
            let proxied = try await client.execute(HTTPRequest(url: "http://example.invalid/echo"))
            #expect(try await proxied.body.text().contains("http://example.invalid/echo"))
            let direct = try await client.execute(HTTPRequest(url: server.url("/echo")))
            #expect(try await direct.body.text().contains("\"target\": \"/echo\""))
            let excepted = try await transportError {
                _ = try await client.execute(HTTPRequest(url: "http://name.internal/"))
            }
            #expect(excepted?.kind == .resolve)
        }
    }

    @Test("The proxy variables mean what curl takes them for")
    func proxyVariables() {
        func settings(_ variables: [String: String]) -> ProxySettings { ProxySettings { variables[$0] } }
        #expect(settings([:]) == ProxySettings())
        #expect(settings(["HTTP_PROXY": "http://p"]) == ProxySettings())
        #expect(settings(["http_proxy": "http://p", "https_proxy": ""]).http == "http://p")
        #expect(settings(["HTTPS_PROXY": "http://p"]) == ProxySettings(https: "http://p"))
        #expect(settings(["all_proxy": "http://p"]) == ProxySettings(http: "http://p", https: "http://p"))
        #expect(settings(["NO_PROXY": "a,b"]).exceptions == "a,b")
    }
}
