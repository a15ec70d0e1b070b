import Memory
import Testing

@testable import Agent

@Suite("Tools' names and steps, as values") struct ToolValueTests {
    private func source(_ name: String) -> ToolSource {
        ToolSource(name: name, list: { _ in [] }) { _, _, _ in ToolResult(.done, name) }
    }

    private func tool(_ name: String) -> Tool { Tool(name: name, description: "", inputSchema: "{}") }

    @Test("Tools of one name are told apart by their servers, and every name is one that models may use")
    func names() async throws {
        let long = String(repeating: "x", count: 70)
        let toolbox = Toolbox([
            (source("orders"), [tool("find"), tool("refund"), tool("länge/1")]),
            (source("parcels"), [tool("find"), tool(long), tool(long + "y")]),
        ])
        let names = toolbox.offers.map(\.name)
        #expect(names.prefix(4) == ["orders__find", "refund", "l__nge_1", "parcels__find"])
        #expect(Set(names).count == names.count)
        #expect(names.allSatisfy { $0.utf8.count <= 64 })
        let call = ToolCall(id: "1", name: "parcels__find", arguments: "{}")
        #expect(await toolbox.call(call, within: .seconds(1)).text == "parcels")
    }

    @Test("The answers of a turn's tools are bounded together") func bounded() {
        var steps = ToolSteps()
        let calls = (1...3).map { ToolCall(id: "\($0)", name: "f", arguments: "{}") }
        steps.ask(Message(role: .assistant, content: "", toolCalls: calls))
        let text = String(repeating: "ü", count: ToolSteps.maximumBytes / 4)
        for call in calls { steps.answer(call, ToolResult(.done, text)) }
        #expect(steps.open.isEmpty)
        let bytes = steps.messages.reduce(0) { $0 + $1.content.utf8.count }
        #expect(bytes < ToolSteps.maximumBytes + 200)
        #expect(steps.messages.last?.content.hasSuffix("[cut: the turn's tools have said too much]") == true)
        // Whoever goes on with the turn has the same bound.
        var next = ToolSteps(recorded: steps.messages)
        next.ask(
            Message(role: .assistant, content: "", toolCalls: [ToolCall(id: "4", name: "f", arguments: "")]))
        #expect(next.answer(next.open[0], ToolResult(.done, text)).text.utf8.count < 100)
    }

    @Test("Answers stand in the order of their calls, in whatever order they come") func order() {
        var steps = ToolSteps()
        let calls = (1...4).map { ToolCall(id: "\($0)", name: "f", arguments: "") }
        steps.ask(Message(role: .assistant, content: "", toolCalls: calls))
        for index in [2, 0, 3, 1] { steps.answer(calls[index], ToolResult(.done, "\(index + 1)")) }
        #expect(steps.messages.map(\.content) == ["", "1", "2", "3", "4"])
    }
}
