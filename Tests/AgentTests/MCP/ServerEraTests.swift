import Testing
import Transport

@testable import Agent

/// In which era a server is spoken to, decided without one.
@Suite struct ServerEraTests {
    private func verdict(_ reply: MCPReply) -> DiscoveryVerdict {
        DiscoveryVerdict(reply, from: .office, hiding: .none)
    }

    private func isFailed(_ reply: MCPReply, _ kind: MCPError.Kind) -> Bool {
        if case .failed(let error) = verdict(reply) { error.kind == kind } else { false }
    }

    @Test("A server that lists the modern revision is modern, one that lists only older ones is not")
    func discovery() {
        #expect(verdict(.result(#"{"supportedVersions":["2025-11-25","2026-07-28"]}"#.bytes)) == .modern)
        #expect(verdict(.result(#"{"supportedVersions":["2025-11-25"]}"#.bytes)) == .older)
        #expect(verdict(.result(#"{"whatever":1}"#.bytes)) == .older)
        #expect(isFailed(.result(#"{"supportedVersions":["2031-01-01"]}"#.bytes), .incompatible))
    }

    @Test(
        "A refusal without an error of the modern era leads to the handshake",
        arguments: [
            MCPReply.refused(status: 400, text: nil, location: nil),
            .refused(status: 404, text: nil, location: nil), .refused(status: 405, text: nil, location: nil),
            .refused(status: 406, text: nil, location: nil),
            .error(MCPServerError(code: -32600, message: "Missing session ID"), status: 400),
            .error(MCPServerError(code: -32601), status: 200),
            .error(MCPServerError(code: -32022), status: 400),
            .error(MCPServerError(code: -32022, supported: ["2025-06-18"]), status: 400),
            .unreadable("text/html"),
        ])
    func older(_ reply: MCPReply) {
        #expect(verdict(reply) == .older)
    }

    @Test("Credentials, redirects and outages say nothing about the era")
    func noVerdict() {
        for status in [301, 401, 403, 429, 500, 502, 503] {
            #expect(isFailed(.refused(status: status, text: nil, location: nil), .rejected))
        }
        #expect(isFailed(.error(MCPServerError(code: -32020), status: 400), .rejected))
        #expect(isFailed(.broken(TransportError(.connect, "no connection")), .unavailable))
        #expect(isFailed(.broken(TransportError(.timeout(.total), "late")), .timeout))
        #expect(
            isFailed(
                .error(MCPServerError(code: -32022, supported: ["2031-01-01"]), status: 400), .incompatible))
    }

    @Test("The handshake gives a session where the server speaks a known revision")
    func handshake() throws {
        let reply = MCPReply.result(#"{"protocolVersion":"2025-03-26"}"#.bytes)
        let session = try MCPSession(reply, id: "abc", from: .office, hiding: .none)
        #expect(session == MCPSession(revision: "2025-03-26", id: "abc"))
        #expect(throws: MCPError.self) {
            try MCPSession(
                .result(#"{"protocolVersion":"1999-01-01"}"#.bytes), id: nil, from: .office, hiding: .none)
        }
        #expect(throws: MCPError.self) {
            try MCPSession(reply, id: "a\u{e4}", from: .office, hiding: .none)
        }
    }

    @Test("What ends an era, or a session, and what is an answer to the call")
    func ends() {
        let session = MCPEra.session(MCPSession(revision: "2025-06-18", id: "s"))
        let sessionless = MCPEra.session(MCPSession(revision: "2025-06-18", id: nil))
        func error(_ code: Int, _ status: Int) -> MCPReply {
            .error(MCPServerError(code: code), status: status)
        }
        let notFound = MCPReply.refused(status: 404, text: nil, location: nil)
        for era in [MCPEra.modern, session, sessionless] {
            #expect(era.isOver(by: notFound))
            #expect(era.isOver(by: error(-32022, 400)))
            #expect(era.isOver(by: error(-32600, 400)))
            let lost = MCPServerError(code: -32000, message: "Bad Request: No valid session ID provided")
            #expect(era.isOver(by: .error(lost, status: 400)))
            // Anybody's code, in nobody's words: it may have been carried out.
            #expect(!era.isOver(by: error(-32000, 400)))
            #expect(!era.isOver(by: error(-32602, 400)))
            #expect(!era.isOver(by: error(-32602, 200)))
            #expect(!era.isOver(by: .refused(status: 401, text: nil, location: nil)))
            #expect(!era.isOver(by: .refused(status: 502, text: nil, location: nil)))
            #expect(!era.isOver(by: .result([])))
            #expect(!era.isOver(by: .broken(TransportError(.reset, "gone"))))
        }
        #expect(session.isOver(by: error(-32601, 404)))
        #expect(!MCPEra.modern.isOver(by: error(-32601, 404)))
        #expect(session.isOver(by: error(-32020, 400)))
        #expect(!MCPEra.modern.isOver(by: error(-32020, 400)))
    }

    @Test("An era is forgotten by whoever was refused in it, not by whoever is late to notice")
    func forgetting() {
        let first = MCPEra.session(MCPSession(revision: "2025-06-18", id: "1"))
        let second = MCPEra.session(MCPSession(revision: "2025-06-18", id: "2"))
        var era = ServerEra()
        era.found(first)
        era.forget(first)
        #expect(era.known == nil)
        era.found(second)
        era.forget(first)
        #expect(era.known == second)
    }
}
