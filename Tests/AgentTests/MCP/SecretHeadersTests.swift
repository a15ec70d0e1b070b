import Testing

@testable import Agent

/// What a Secret adds to requests, and what is kept from sight.
@Suite struct SecretHeadersTests {
    private func headers(_ secret: [String: String]?) throws -> SecretHeaders {
        try SecretHeaders(secret, of: .office)
    }

    @Test("A Secret's keys and values become headers, without the line end of a mounted file")
    func fields() throws {
        let fields = try headers(["X-Tenant": "acme", "Authorization": "Bearer sk-123456\n"]).fields
        #expect(
            fields.map { "\($0.name): \($0.value)" } == ["Authorization: Bearer sk-123456", "X-Tenant: acme"])
    }

    @Test(
        "Keys and values that can't be headers are refused with the field's name, and never shown",
        arguments: [
            ["Authorization": "Bearer se\r\ncret"], ["Authorization": "sécret"],
            ["Authorization": "secret\u{0}"],
            ["Authorization": "  \n"], ["sec ret": "x"], ["": "secret"], ["Host": "secret"],
            ["mcp-session-id": "secret"], ["Content-Length": "secret"],
        ])
    func illegal(_ secret: [String: String]) {
        let error = #expect(throws: MCPError.self) { try headers(secret) }
        #expect(error?.kind == .configuration)
        #expect(error?.message.contains("spec.mcpServers[0].headersSecretRef") == true)
        #expect(error?.message.contains("secret") == false)
        #expect(error?.message.contains("sec ret") == false)
    }

    @Test("A missing Secret is an error that names the field")
    func missing() {
        let error = #expect(throws: MCPError.self) { try headers(nil) }
        #expect(error?.message.contains("spec.mcpServers[0].headersSecretRef") == true)
    }

    @Test("Values are taken out of texts whole, in words, and as JSON writes them")
    func redaction() throws {
        let hidden = try headers(["Authorization": "Bearer sk-123456", "X-Key": "a\"quoted\"key"]).hidden
        #expect(hidden.removed(from: "you sent Bearer sk-123456.") == "you sent [redacted].")
        #expect(hidden.removed(from: "key=sk-123456sk-123456") == "key=[redacted][redacted]")
        #expect(hidden.removed(from: #"{"key":"a\"quoted\"key"}"#) == #"{"key":"[redacted]"}"#)
        // A combining mark doesn't hide what it stands on.
        #expect(hidden.removed(from: "sk-123456\u{301}").contains("123456") == false)
        #expect(hidden.removed(from: "the bearer of this") == "the bearer of this")
    }

    @Test("A line is bounded after the values were taken out, so no half of one stays")
    func line() throws {
        let secret = String(repeating: "k", count: 300)
        let hidden = try headers(["X-Key": secret]).hidden
        let line = try #require(hidden.line("one\ntwo " + secret + secret, limit: 20))
        #expect(line == "one two [redacted][r...")
        #expect(hidden.line("\n\n") == nil)
    }
}
