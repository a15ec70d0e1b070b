import Synchronization
import Testing
import Transport

@testable import Agent

/// The values behind a process's pipes: lines, traffic, pauses, budgets.
@Suite struct ProcessValueTests {
    private let start = ContinuousClock.now

    @Test("Lines are the same however they are cut into pieces", arguments: [1, 2, 3, 100])
    func lines(step: Int) {
        let text = "one\n\ntwo\nlonger than ten\nsix\nrest".bytes
        var reader = LineReader(limit: 10)
        var lines: [LineReader.Line] = []
        for begin in stride(from: 0, to: text.count, by: step) {
            lines += reader.feed(text[begin..<min(begin + step, text.count)])
        }
        if let last = reader.finish() { lines.append(last) }
        #expect(
            lines == [
                .whole("one".bytes), .whole([]), .whole("two".bytes), .cut("longer tha".bytes),
                .whole("six".bytes), .whole("rest".bytes),
            ])
    }

    @Test("A process that ends is started again at once, then ever later, until it has held out")
    func pauses() {
        var pause = RestartPause()
        #expect(pause.wait(at: start) == nil)
        var waits: [Duration?] = []
        for _ in 0..<9 {
            pause.ended(startedAt: start, at: start)
            waits.append(pause.wait(at: start))
        }
        #expect(
            waits == [
                nil, .milliseconds(500), .seconds(1), .seconds(2), .seconds(4), .seconds(8), .seconds(16),
                .seconds(30), .seconds(30),
            ])
        #expect(pause.wait(at: start + .seconds(30)) == nil)
        pause.ended(startedAt: start, at: start + .seconds(60))
        #expect(pause.wait(at: start + .seconds(60)) == nil)
    }

    @Test("The log takes so many lines in a while and is told how many it did not get")
    func budget() {
        var budget = LogBudget()
        for _ in 0..<LogBudget.maxLines { #expect(budget.take(at: start) == .log) }
        for _ in 0..<5 { #expect(budget.take(at: start + .seconds(9)) == .omit) }
        #expect(budget.take(at: start + .seconds(10)) == .logAfter(omitted: 5))
        #expect(budget.take(at: start + .seconds(10)) == .log)
    }

    /// What each request was answered, by its id.
    private final class Answers: Sendable {
        private let items = Mutex<[Int: [ReplyReader.Item]]>([:])

        subscript(id: Int) -> [ReplyReader.Item] { items.withLock { $0[id] ?? [] } }

        func taker(_ id: Int) -> ProcessTraffic.Answer {
            { item in self.items.withLock { $0[id, default: []].append(item) } }
        }
    }

    private func traffic(_ ids: [Int], _ answers: Answers, limit: Int = 1000) -> ProcessTraffic {
        var traffic = ProcessTraffic()
        for id in ids {
            traffic.ask(
                id, "request \(id)".bytes, limit: limit, deadline: start + .seconds(id), permit: nil,
                answer: answers.taker(id))
        }
        return traffic
    }

    @Test("Each line goes to whom it belongs, and what is nobody's harms nobody")
    func receives() {
        let answers = Answers()
        var traffic = traffic([1, 2, 3], answers)
        for line in [
            #"{"jsonrpc":"2.0","id":9,"result":{}}"#, #"{"id":"1","result":{}}"#, #"{"id":1.5,"result":{}}"#,
            #"{"method":"notifications/progress","params":{"progressToken":2,"progress":1}}"#,
            #"{"method":"notifications/progress","params":{"progressToken":8,"progress":1}}"#,
            #"{"id":null,"error":{"code":1}}"#, #"[{"id":2,"result":{"a":1}}]"#,
            #"{"id":2,"result":{"a":2}}"#, #"{"id":3,"error":{"code":-1,"message":"no"}}"#,
        ] {
            let news = traffic.receive(.whole(line.bytes))
            #expect(news.rubbish == nil)
        }
        #expect(answers[1].isEmpty)
        #expect(
            answers[2] == [
                .progress(ToolProgress(progress: 1)), .reply(.result(#"{"a":1}"#.bytes)),
            ])
        #expect(answers[3] == [.reply(.error(MCPServerError(code: -1, message: "no"), status: 200))])
        // One alone waits: an error without an id is its own.
        _ = traffic.receive(.whole(#"{"id":null,"error":{"code":2}}"#.bytes))
        #expect(answers[1] == [.reply(.error(MCPServerError(code: 2), status: 200))])
        for line in ["Hello!", "{", #""text""#, "7"] {
            let news = traffic.receive(.whole(line.bytes))
            #expect(news.rubbish != nil)
        }
        #expect(traffic.receive(.whole(" \t".bytes)) == ProcessTraffic.News())
        let news = traffic.receive(.whole(#"{"method":"notifications/tools/list_changed"}"#.bytes))
        #expect(news == ProcessTraffic.News(toolsChanged: true))
    }

    @Test("An answer over its bound is too large, whether it was kept or cut")
    func tooLarge() {
        let answers = Answers()
        var traffic = traffic([1, 2, 3], answers, limit: 20)
        _ = traffic.receive(.whole(#"{"id":1,"result":{"a":"aaaaaaaa"}}"#.bytes))
        _ = traffic.receive(.cut(#"{"jsonrpc":"2.0","id":2,"result":{"a":"aaaa"#.bytes))
        let news = traffic.receive(.cut(#"{"method":"notifications/message","params":{"#.bytes))
        #expect(news.rubbish != nil)
        #expect(answers[1] == [.reply(.tooLarge(limit: 20))])
        #expect(answers[2] == [.reply(.tooLarge(limit: 20))])
        #expect(answers[3].isEmpty)
        // Its id stands at its end, but it can be no other's.
        _ = traffic.receive(.cut(#"{"result":{"a":"aaaaaaaaaaaaa"#.bytes))
        #expect(answers[3] == [.reply(.tooLarge(limit: 20))])
    }

    @Test("A request that nobody waits for any more is not sent, unless some of it was")
    func forgotten() {
        let answers = Answers()
        var traffic = traffic([1, 2], answers)
        #expect(traffic.nextChunk() == "request 1\n".bytes)
        traffic.wrote(3)
        traffic.forget(1)
        traffic.forget(2)
        #expect(traffic.nextChunk() == "uest 1\n".bytes)
        traffic.wrote(7)
        #expect(traffic.nextChunk() == nil)
        #expect(!traffic.hasOutput)
    }

    @Test("A wait ends when its time is up, and the end of the process ends all")
    func ends() {
        let answers = Answers()
        var traffic = traffic([1, 2], answers)
        #expect(traffic.nextDeadline == start + .seconds(1))
        traffic.expire(at: start + .seconds(1))
        #expect(
            answers[1] == [.reply(.broken(TransportError(.timeout(.total), "no answer came in time")))])
        #expect(traffic.nextDeadline == start + .seconds(2))
        traffic.end(TransportError(.reset, "gone"))
        #expect(answers[2] == [.reply(.broken(TransportError(.reset, "gone")))])
        #expect(!traffic.hasOutput)
    }

    @Test("What waits for a process that reads nothing is bounded")
    func bounded() {
        let answers = Answers()
        var traffic = ProcessTraffic()
        let half = [UInt8](repeating: 0x61, count: ProcessTraffic.maxWaitingBytes / 2 - 1)
        for id in 1...3 {
            traffic.ask(
                id, half, limit: 1, deadline: start, permit: nil, answer: answers.taker(id))
        }
        guard case .reply(.broken(let error))? = answers[3].first else {
            Issue.record("a third one was taken")
            return
        }
        #expect(error.kind == .overloaded)
        #expect(answers[1].isEmpty && answers[2].isEmpty)
        let isTold = traffic.tell([UInt8](repeating: 0x61, count: 8))
        #expect(!isTold)
        // Questions that the process asks and whose answers it doesn't read.
        var asked = ProcessTraffic()
        for id in 0..<1000 { _ = asked.receive(.whole(#"{"id":\#(id),"method":"ping"}"#.bytes)) }
        var count = 0
        while let chunk = asked.nextChunk() {
            asked.wrote(chunk.count)
            count += 1
        }
        #expect(count == 64)
    }

    @Test("A permit is used when the first byte was written, and not while the pipe takes none")
    func permits() {
        let answers = Answers()
        let permit = SendPermit(isRepeatable: false)
        var traffic = ProcessTraffic()
        traffic.ask(1, [0x61], limit: 1, deadline: start, permit: permit, answer: answers.taker(1))
        // The pipe is full: it is tried again.
        for _ in 0..<2 { #expect(traffic.nextChunk() == [0x61, 0x0A]) }
        #expect(!permit.wasUsed)
        traffic.wrote(1)
        #expect(permit.wasUsed)
        traffic.forget(1)
        #expect(traffic.nextChunk() == [0x0A])
        traffic.wrote(1)
        #expect(!traffic.hasOutput)
    }

    @Test("A request that the full pipe took nothing of is taken back, and was not sent")
    func takenBack() {
        let answers = Answers()
        let permit = SendPermit(isRepeatable: false)
        var traffic = ProcessTraffic()
        traffic.ask(1, [0x61], limit: 1, deadline: start, permit: permit, answer: answers.taker(1))
        traffic.tell([0x62])
        #expect(traffic.nextChunk() == [0x61, 0x0A])
        traffic.forget(1)
        #expect(!permit.wasUsed)
        #expect(traffic.nextChunk() == [0x62, 0x0A])
        traffic.wrote(2)
        #expect(!traffic.hasOutput)
    }

    private func log(
        _ logs: LogLines, _ variables: [String: String] = [:],
        redact: @escaping @Sendable (String) -> String = { $0 }
    ) -> ProcessLog {
        let environment = ProcessEnvironment(variables, redact: redact)
        return ProcessLog(server: .office, pid: 1, hidden: environment.values, logger: logs.logger)
    }

    @Test("Lines that are no message cost no line of standard error, nor the count of those left out")
    func ownBudget() {
        let logs = LogLines()
        var log = log(logs)
        for _ in 0..<150 { log.rubbish(.whole("Hello".bytes), because: "it is no JSON", at: start) }
        #expect(logs.all.count == LogBudget.maxLines)
        for _ in 0..<105 { log.said(.whole("busy".bytes), at: start) }
        #expect(logs.all.count { $0.contains("office: busy") } == LogBudget.maxLines)
        log.rubbish(.whole("Hello".bytes), because: "it is no JSON", at: start + .seconds(10))
        #expect(logs.all.last?.contains(#""omitted": 50"#) == true)
        log.said(.whole("idle".bytes), at: start + .seconds(10))
        #expect(logs.all.contains { $0.contains("(5 lines were left out)") })
    }

    @Test("A value that the end of a long line cuts in two is not logged, nor half of it")
    func cutValue() {
        let secret = "s" + String(repeating: "k", count: 299)
        // What is taken out makes room for what stands further on.
        let head = String(repeating: secret, count: 6)
        for padding in stride(from: 3, to: 600, by: 7) {
            let logs = LogLines()
            var log = log(logs, ["OFFICE_TOKEN": secret])
            var reader = LineReader(limit: log.keptBytes)
            let text =
                head + String(repeating: "x", count: padding) + secret + String(repeating: "y", count: 3000)
            for line in reader.feed(text.bytes) { log.said(line, at: start) }
            #expect(logs.all.count == 1)
            #expect(logs.all.allSatisfy { !$0.contains("kk") && $0.contains("xxx") })
        }
    }

    @Test("A value of many lines is not logged line by line either")
    func linesOfAValue() {
        let logs = LogLines()
        var log = log(
            logs, ["OFFICE_KEY": "-----BEGIN KEY-----\r\nMIIEvQ+one\nAgEAAo/two\n-----END KEY-----\n"])
        for line in ["MIIEvQ+one", "AgEAAo/two", "it ends"] { log.said(.whole(line.bytes), at: start) }
        #expect(logs.all.count == 3)
        #expect(!logs.all.contains { $0.contains("MIIEvQ") || $0.contains("AgEAAo") })
        #expect(logs.all.last?.contains("it ends") == true)
    }

    @Test("What is to be redacted is cut out of each text before the text is cut")
    func redacted() {
        let logs = LogLines()
        var log = log(logs, ["OFFICE_TOKEN": "sk-123456"]) { $0.replacing("ann@example.com", with: "[mail]") }
        log.said(.whole("ann@example.com has sk-123456".bytes), at: start)
        #expect(logs.all.last?.contains("office: [mail] has [redacted]") == true)
        let head = String(repeating: "x", count: ProcessLog.maxLineBytes - 5)
        log.said(.whole((head + "ann@example.com").bytes), at: start)
        #expect(logs.all.last?.contains("ann@e") == false)
        log.rubbish(.whole("for ann@example.com".bytes), because: "no ann@example.com", at: start)
        #expect(logs.all.last?.contains("for [mail]") == true)
        #expect(logs.all.last?.contains("no [mail]") == true)
        #expect(!logs.all.contains { $0.contains("ann@example.com") })
    }

    @Test(
        "The environment has the manifest's variables and a few of this process, and values that sound secret are hidden"
    )
    func environment() {
        let environment = ProcessEnvironment(["FOLDER": "/srv/files", "API_KEY": "sk-123456"]) { name in
            ["PATH": "/bin", "HOME": "/root", "MODEL_KEY": "sk-999999"][name]
        }
        #expect(
            environment.entries == ["API_KEY=sk-123456", "FOLDER=/srv/files", "HOME=/root", "PATH=/bin"])
        #expect(environment.secrets.removed(from: "sk-123456 /srv/files") == "[redacted] /srv/files")
        #expect(environment.values.removed(from: "sk-123456 /srv/files") == "[redacted] [redacted]")
    }
}
