import Foundation
import Logging
import Memory
import Testing
import Transport

@testable import Agent

/// The client against a server that is a process of its own: both eras, ends, restarts, and what stays behind.
@Suite struct MCPProcessTests {
    private let time = Duration.seconds(60)
    private let look = StandInToolProcess.tool("look")

    private func place(_ client: MCPClient) async throws -> ProcessPlace {
        try ProcessPlace(
            await client.call(StandInToolProcess.tool("where"), arguments: "{}", within: time))
    }

    private func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
        for _ in 0..<1500 {
            if try await condition() { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    @Test(
        "Tools are listed and called in either era, whatever the process makes of the first question",
        arguments: ["", "older", "older fragile", "rubbish", "older rubbish"])
    func eras(modes: String) async throws {
        let client = StandInToolProcess.client(modes)
        #expect(try await client.tools(within: time).count == 9)
        let result = await client.call(look, arguments: #"{"a": 1}"#, within: time)
        #expect(result == ToolResult(.done, #"look {"a": 1}"#))
        await client.close()
    }

    @Test("Many calls share the process, and each gets its own answer", arguments: ["", "older"])
    func atOnce(modes: String) async throws {
        let client = StandInToolProcess.client(modes)
        await withTaskGroup(of: (Int, ToolResult).self) { group in
            for number in 0..<200 {
                group.addTask {
                    (
                        number,
                        await client.call(self.look, arguments: #"{"n": \#(number)}"#, within: self.time)
                    )
                }
            }
            for await (number, result) in group {
                #expect(result == ToolResult(.done, #"look {"n": \#(number)}"#))
            }
        }
        await client.close()
    }

    @Test(
        "What was sent to a process that ends is unknown, and the next call finds another process",
        arguments: ["", "older"])
    func death(modes: String) async throws {
        let client = StandInToolProcess.client(modes)
        let first = try await place(client).pid
        async let other = client.call(StandInToolProcess.tool("hang"), arguments: "{}", within: time)
        // The call beside it has to have been sent.
        try await Task.sleep(for: .milliseconds(300))
        let result = await client.call(StandInToolProcess.tool("die"), arguments: "{}", within: time)
        #expect(result.outcome == .unknown)
        #expect(result.text.contains("process ended"))
        #expect(await other.outcome == .unknown)
        #expect(await client.call(look, arguments: "{}", within: time).outcome == .done)
        #expect(try await place(client).pid != first)
        await client.close()
    }

    @Test("A process that ends at once is not started again and again, and its field and mend are named")
    func endsAtOnce() async throws {
        let logs = LogLines()
        let client = StandInToolProcess.client("ends", logs: logs)
        for _ in 0..<20 {
            let result = await client.call(look, arguments: "{}", within: time)
            #expect(result.outcome == .notSent)
            #expect(result.text.contains("spec.mcpServers[0].command"))
        }
        // Each search for the era may start two, and twenty calls come within a few pauses.
        #expect(logs.all.count { $0.contains("was started") } < 20)
        #expect(logs.all.contains { $0.contains("ended with status 7") })
        await client.close()
    }

    @Test("A program that isn't there is told with its field")
    func missing() async throws {
        let client = MCPClient(
            name: "office", field: "spec.mcpServers[0]", command: ["/nowhere/at-all"], variables: [:],
            allow: nil, logger: LogLines().logger)
        let error = await #expect(throws: MCPError.self) { try await client.tools(within: time) }
        #expect(error?.kind == .unavailable)
        #expect(error?.message.contains("spec.mcpServers[0].command") == true)
        #expect(error?.message.contains("No such file") == true)
        await client.close()
    }

    @Test(
        "A call that takes too long or is taken back is unknown, and the process is told",
        arguments: ["", "older"])
    func takenBack(modes: String) async throws {
        let client = StandInToolProcess.client(modes)
        _ = try await client.tools(within: time)
        let late = await client.call(
            StandInToolProcess.tool("hang"), arguments: "{}", within: .milliseconds(300))
        #expect(late.outcome == .unknown)
        #expect(late.text.contains("in time"))
        let cancelled = await withTaskGroup(of: ToolResult?.self) { group in
            group.addTask {
                await client.call(StandInToolProcess.tool("hang"), arguments: "{}", within: self.time)
            }
            group.addTask {
                // The call has to have been sent; a pause that ends early shows below.
                try? await Task.sleep(for: .milliseconds(300))
                return nil
            }
            _ = await group.next()
            group.cancelAll()
            return await group.next() ?? nil
        }
        #expect(cancelled?.outcome == .unknown)
        let isTold = try await eventually {
            let said = await client.call(StandInToolProcess.tool("said"), arguments: "{}", within: time)
            return said.text.components(separatedBy: "notifications/cancelled").count == 3
        }
        #expect(isTold)
        await client.close()
    }

    @Test("A call that the process has not taken in when its time is up was not sent")
    func notTaken() async throws {
        let client = StandInToolProcess.client()
        let pid = try await place(client).pid
        kill(pid_t(pid), SIGSTOP)
        // More than a pipe holds.
        let large = #"{"a": "\#(String(repeating: "x", count: 200_000))"}"#
        let first = await client.call(
            StandInToolProcess.tool("send"), arguments: large, within: .milliseconds(600))
        let second = await client.call(
            StandInToolProcess.tool("send"), arguments: "{}", within: .milliseconds(200))
        #expect(second.outcome == .notSent)
        #expect(first.outcome == .unknown)
        kill(pid_t(pid), SIGCONT)
        #expect(await client.call(look, arguments: "{}", within: time).outcome == .done)
        await client.close()
    }

    @Test("An answer that is too long is passed over, and the process stays of use")
    func flood() async throws {
        let client = StandInToolProcess.client()
        let result = await client.call(StandInToolProcess.tool("flood"), arguments: "{}", within: time)
        #expect(result.outcome == .unknown)
        #expect(result.text.contains("too large"))
        #expect(await client.call(look, arguments: "{}", within: time).outcome == .done)
        await client.close()
    }

    @Test("Progress is told, the process's own questions are answered, and its news makes the list old")
    func says() async throws {
        let client = StandInToolProcess.client()
        _ = try await client.tools(within: time)
        let reports = ProgressReports()
        let nap = StandInToolProcess.tool("nap")
        let result = await client.call(nap, arguments: "{}", within: time) { reports.add($0) }
        #expect(result == ToolResult(.done, "rested"))
        #expect(
            reports.all == [
                ToolProgress(progress: 0, total: 2, message: "step 0"),
                ToolProgress(progress: 1, total: 2, message: "step 1"),
            ])
        #expect(
            await client.call(StandInToolProcess.tool("ask"), arguments: "{}", within: time).outcome == .done)
        let isAnswered = try await eventually {
            let said = await client.call(StandInToolProcess.tool("said"), arguments: "{}", within: time).text
            return said.contains("-32601") && said.contains(#""id": "q2", "result": {}"#)
        }
        #expect(isAnswered)
        let before = client.transport.changes
        _ = await client.call(StandInToolProcess.tool("change"), arguments: "{}", within: time)
        #expect(client.transport.changes == before + 1)
        await client.close()
    }

    @Test("The process finds the manifest's variables and a few more, and no open file of this process")
    func environment() async throws {
        // Open, and not marked to be closed in other programs.
        let leak = open("/etc/hostname", O_RDONLY)
        defer { close(leak) }
        let client = StandInToolProcess.client(variables: ["OFFICE_TOKEN": "sk-123456", "HOME": "/office"])
        let answer = await client.call(StandInToolProcess.tool("where"), arguments: "{}", within: time)
        #expect(!answer.text.contains("sk-123456"))
        let place = try ProcessPlace(answer)
        #expect(place.environment["HOME"] == "/office")
        #expect(place.environment["PATH"] != nil)
        // What a shell that stands before the interpreter sets by itself proves nothing.
        let own = Set(ProcessInfo.processInfo.environment.keys).subtracting(ProcessEnvironment.inherited)
            .filter { !["PWD", "OLDPWD", "SHLVL", "_"].contains($0) && !$0.contains("PYENV") }
        #expect(own.isDisjoint(with: place.environment.keys))
        #expect(!place.files.contains { $0.contains("hostname") })
        #expect(place.files.count { $0.hasPrefix("pipe:") } == 3)
        #expect(place.group == place.pid)
        await client.close()
    }

    @Test("What the process says on its standard error is logged without the manifest's values")
    func errors() async throws {
        let logs = LogLines()
        let client = StandInToolProcess.client(variables: ["OFFICE_TOKEN": "sk-123456"], logs: logs)
        _ = try await client.tools(within: time)
        #expect(try await eventually { logs.all.contains { $0.contains("ready with [redacted]") } })
        #expect(!logs.all.contains { $0.contains("sk-123456") })
        await client.close()
    }

    @Test("What the process says is redacted before it is logged")
    func redacted() async throws {
        let logs = LogLines()
        let client = StandInToolProcess.client(logs: logs) { $0.replacing("nothing", with: "[cut]") }
        _ = try await client.tools(within: time)
        #expect(try await eventually { logs.all.contains { $0.contains("ready with [cut]") } })
        #expect(!logs.all.contains { $0.contains("nothing") })
        await client.close()
    }

    @Test("Rubbish on standard output is warned of once")
    func rubbish() async throws {
        let logs = LogLines()
        let client = StandInToolProcess.client("rubbish", logs: logs)
        _ = try await client.tools(within: time)
        #expect(logs.all.count { $0.hasPrefix("warning") && $0.contains("no message") } == 1)
        await client.close()
    }

    @Test(
        "Closing ends the process, also one that takes no notice, and what it has started",
        arguments: ["", "older", "stubborn", "family", "deaf"])
    func closing(modes: String) async throws {
        let logs = LogLines()
        let client = StandInToolProcess.client(modes, logs: logs)
        // A deaf one is started by that, and answers nothing.
        _ = await client.call(look, arguments: "{}", within: modes == "deaf" ? .seconds(1) : time)
        let pid = try #require(
            logs.all.first { $0.contains("was started") }?.firstMatch(of: /"pid": ([0-9]+)/)?.1)
        let number = try #require(Int(pid))
        #expect(StandInToolProcess.lives(number))
        await client.close()
        #expect(!StandInToolProcess.lives(number))
        // What was killed may wait for somebody to take notice, but it does not run.
        let isEmpty = try await eventually { StandInToolProcess.members(ofGroup: number).isEmpty }
        #expect(isEmpty)
        let after = await client.call(look, arguments: "{}", within: time)
        #expect(after.outcome == .notSent)
        #expect(logs.all.count { $0.contains("was started") } == 1)
    }

    @Test("A client that is dropped takes its process with it")
    func dropped() async throws {
        var client: MCPClient? = StandInToolProcess.client()
        let pid = try await place(try #require(client)).pid
        client = nil
        #expect(try await eventually { !StandInToolProcess.lives(pid) })
    }
}
