import Testing

@testable import Transport

/// Heads from their lines, as libcurl hands them over.
@Suite struct ResponseHeadParserTests {
    private func parse(_ lines: [String], maxBytes: Int = 1000) -> ResponseHeadParser.Action {
        var parser = ResponseHeadParser(maxBytes: maxBytes)
        for line in lines {
            let action = Array(line.utf8).withUnsafeBytes { parser.line($0) }
            if action != .more { return action }
        }
        return .more
    }

    private func head(
        _ status: Int, _ fields: [(String, String)] = [], multiplexed: Bool = false
    ) -> ResponseHeadParser.Action {
        let headers = HTTPHeaders(fields.map { HTTPHeaders.Field(name: $0.0, value: $0.1) })
        return .complete(.init(status: status, headers: headers, isMultiplexed: multiplexed))
    }

    @Test("Status, fields and version come out of the lines")
    func simple() {
        #expect(
            parse(["HTTP/1.1 200 OK\r\n", "A: b: c \r\n", "Empty:\r\n", "\r\n"])
                == head(200, [("A", "b: c"), ("Empty", "")]))
        #expect(parse(["HTTP/2 404 \r\n", "\r\n"]) == head(404, multiplexed: true))
    }

    @Test("An interim response is skipped with its fields")
    func interim() {
        #expect(
            parse(["HTTP/1.1 103 Early Hints\r\n", "Link: x\r\n", "\r\n", "HTTP/1.1 204 No\r\n", "\r\n"])
                == head(204))
    }

    @Test(
        "Lines that aren't a head's are refused",
        arguments: [
            ["HTTP/1.1 2xx OK\r\n"], ["HTTP/1.1\r\n"], ["A: b\r\n", "\r\n"],
            ["HTTP/1.1 200 OK\r\n", "nonsense\r\n"],
        ])
    func malformed(lines: [String]) {
        #expect(parse(lines) == .malformed)
    }

    @Test("Interim responses, trailers and the head itself count towards one bound")
    func bound() {
        let interim = ["HTTP/1.1 100 Continue\r\n", "\r\n"]
        #expect(parse(Array(repeating: interim, count: 10).flatMap { $0 }, maxBytes: 100) == .tooLarge)
        #expect(
            parse(["HTTP/1.1 200 OK\r\n", "A: \(String(repeating: "b", count: 100))\r\n"], maxBytes: 100)
                == .tooLarge)
    }

    @Test("Names compare without regard to case, and only letters have case")
    func names() {
        let headers = HTTPHeaders([
            .init(name: "Set-Cookie", value: "a"), .init(name: "set-cookie", value: "b"),
        ])
        #expect(headers["SET-COOKIE"] == "a")
        #expect(headers.values(named: "set-COOKIE") == ["a", "b"])
        #expect(headers["set\rcookie"] == nil)
        #expect(headers["set-cooki"] == nil)
    }
}
