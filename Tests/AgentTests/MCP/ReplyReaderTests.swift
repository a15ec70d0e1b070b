import Testing
import Transport

@testable import Agent

/// How answers are read, bytes in and items out.
@Suite struct ReplyReaderTests {
    private func items(_ type: String?, _ body: String, limit: Int = 1 << 16, step: Int = .max)
        -> [ReplyReader.Item]
    {
        var reader = ReplyReader(contentType: type, id: 7, limit: limit)
        var items: [ReplyReader.Item] = []
        var rest = body.bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(step)
            items += reader.feed(Array(piece))
            rest = rest.dropFirst(piece.count)
        }
        return items + reader.finish()
    }

    private let answer = #"{"jsonrpc":"2.0","id":7,"result":{"a":1}}"#

    @Test("A JSON answer is read whatever pieces it comes in", arguments: [1, 3, .max])
    func json(step: Int) {
        #expect(
            items("application/json; charset=utf-8", answer, step: step) == [
                .reply(.result(#"{"a":1}"#.bytes))
            ])
    }

    @Test("A stream says what goes on before its answer, and nothing after it", arguments: [1, 7, .max])
    func stream(step: Int) {
        let stream = """
            : hello

            id: 1
            data:

            data: {"method":"notifications/progress","params":{"progressToken":7,"progress":1,"total":4}}

            data: {"method":"notifications/progress","params":{"progressToken":8,"progress":1}}

            data: {"method":"notifications/tools/list_changed"}

            data: {"id":"x","method":"roots/list"}

            data: {"id":8,"result":{}}

            data: \(answer)

            data: {"id":7,"result":{"b":2}}


            """
        #expect(
            items("text/event-stream", stream, step: step) == [
                .progress(ToolProgress(progress: 1, total: 4)), .toolsChanged,
                .request(id: #""x""#.bytes, method: "roots/list"),
                .reply(.result(#"{"a":1}"#.bytes)),
            ])
    }

    @Test("An error is an answer, also where the server could not read the id")
    func errors() {
        for id in ["7", "null"] {
            let text = #"{"jsonrpc":"2.0","id":\#(id),"error":{"code":-32602,"message":"no","data":[1]}}"#
            #expect(
                items("application/json", text) == [
                    .reply(.error(MCPServerError(code: -32602, message: "no"), status: 200))
                ])
        }
    }

    @Test("A batch holds the answer among others")
    func batch() {
        let text = #"[{"method":"notifications/message"},{"id":7,"result":{}}]"#
        #expect(items("application/json", text) == [.reply(.result("{}".bytes))])
    }

    @Test(
        "What is no answer to the request is told as what it is",
        arguments: [
            ("text/html", "<html>"), ("application/json", "{"), ("application/json", ""),
            ("application/json", #"{"id":8,"result":{}}"#), ("application/json", #"{"id":7}"#),
            ("application/json", "[]"), ("text/event-stream", "data: {\n\n"), ("x\u{7}y", "?"),
        ])
    func unreadable(_ type: String, _ body: String) {
        let items = items(type, body)
        #expect(items.count == 1)
        guard case .reply(.unreadable(let what))? = items.first else {
            Issue.record("\(items)")
            return
        }
        #expect(!what.contains("\u{7}"))
    }

    @Test("A stream that ends early can be taken up again where its events have ids")
    func resumption() {
        var reader = ReplyReader(contentType: "text/event-stream", id: 7, limit: 1000)
        #expect(reader.feed("id: 5\nretry: 20\ndata:\n\ndata: {\"id\":".bytes).isEmpty)
        #expect(reader.finish() == [.reply(.ended)])
        #expect(reader.resumption == ReplyReader.Resumption(id: "5", wait: .milliseconds(20)))
        reader.resume()
        #expect(reader.feed("data: \(answer)\n\n".bytes) == [.reply(.result(#"{"a":1}"#.bytes))])
        var nameless = ReplyReader(contentType: "text/event-stream", id: 7, limit: 1000)
        _ = nameless.feed("data: {\"method\":\"x\"}\n\n".bytes)
        #expect(nameless.finish() == [.reply(.ended)])
        #expect(nameless.resumption == nil)
    }

    @Test("No more is read than the limit, in either form")
    func limit() {
        let long = #"{"id":7,"result":""# + String(repeating: "x", count: 2000) + "\"}"
        #expect(items("application/json", long, limit: 1000, step: 100) == [.reply(.tooLarge(limit: 1000))])
        #expect(
            items("text/event-stream", "data: " + long + "\n\n", limit: 1000) == [
                .reply(.tooLarge(limit: 1000))
            ])
        let many = String(repeating: "data: {\"method\":\"x\"}\n\n", count: 100)
        #expect(items("text/event-stream", many, limit: 1000, step: 50) == [.reply(.tooLarge(limit: 1000))])
    }

    @Test("A refusing body is read in the shapes that servers use")
    func refusals() {
        #expect(
            RefusalText.read(#"{"id":null,"error":{"code":-32600,"message":"m"}}"#.bytes).error?.code
                == -32600)
        #expect(RefusalText.read(#"{"error":"invalid_token","error_description":"old"}"#.bytes).text == "old")
        #expect(RefusalText.read(#"{"detail":"d"}"#.bytes).text == "d")
        #expect(RefusalText.read("no upstream".bytes).text == "no upstream")
        #expect(RefusalText.read("<html>no</html>".bytes) == (nil, nil))
    }
}
