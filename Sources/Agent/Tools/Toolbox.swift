/// Decides under which names a model is offered the tools of several servers, and which server a call goes to.
import Logging
import Memory

/// The tools of one agent, as they were when it was asked.
struct Toolbox: Sendable {
    struct Offer: Sendable {
        /// As the model calls it.
        var name: String
        var tool: Tool
        var source: ToolSource
        /// The tool gives the conversation to another agent.
        var handoff: Handoff?
    }

    private(set) var offers: [Offer] = []
    /// Of the turn's client, with names that no offer has.
    var clientFunctions: [ChatFunction] = []

    /// No server can be called so: names in a manifest are in lower case.
    private static let handoffSource = "Handoff"

    init() {}

    /// - Parameter offers: with names of which none is another's.
    init(offers: [Offer]) { self.offers = offers }

    /// A tool keeps its name where that is one for a function and nobody else's; else the server's name stands before it.
    init(_ listings: [(source: ToolSource, tools: [Tool])], handoffs: [Handoff] = []) {
        let byTool = Dictionary(handoffs.map { ($0.tool.name, $0) }) { first, _ in first }
        let desk = ToolSource(name: Self.handoffSource, list: { _ in [] }) { tool, _, _ in
            byTool[tool.name]?.result ?? ToolResult(.notSent, "There is no such agent.")
        }
        let listings = listings + (handoffs.isEmpty ? [] : [(source: desk, tools: handoffs.map(\.tool))])
        var counts: [String: Int] = [:]
        for tool in listings.lazy.flatMap(\.tools) { counts[Self.functionName(tool.name), default: 0] += 1 }
        var taken: Set<String> = []
        for (source, tools) in listings {
            for tool in tools {
                var name = Self.functionName(tool.name)
                if counts[name] != 1 || taken.contains(name) {
                    name = Self.functionName(source.name + "__" + tool.name)
                }
                var number = 2
                while !taken.insert(name).inserted {
                    name = name.prefix(ChatFunction.maximumNameBytes - 4) + "_\(number)"
                    number += 1
                }
                let handoff = source.name == Self.handoffSource ? byTool[tool.name] : nil
                offers.append(Offer(name: name, tool: tool, source: source, handoff: handoff))
            }
        }
    }

    var isEmpty: Bool { offers.isEmpty && clientFunctions.isEmpty }

    /// As a model is told of them.
    var functions: [ChatFunction] {
        offers.map {
            ChatFunction(name: $0.name, description: $0.tool.description, parameters: $0.tool.inputSchema)
        } + clientFunctions
    }

    func offer(_ name: String) -> Offer? { offers.first { $0.name == name } }

    /// The tools of all sources that tell them in time. The turn goes on without those of the others.
    static func gather(
        _ sources: [ToolSource], handoffs: [Handoff] = [], within limit: Duration, logger: Logger
    ) async -> Toolbox {
        guard !sources.isEmpty else { return Toolbox([], handoffs: handoffs) }
        return await withTaskGroup(of: (Int, [Tool]).self) { group in
            for (index, source) in sources.enumerated() {
                group.addTask {
                    do { return (index, try await source.list(limit)) } catch {
                        logger.warning(
                            "the tools of a server are not offered", metadata: ["reason": "\(error)"])
                        return (index, [])
                    }
                }
            }
            var listings = sources.map { (source: $0, tools: [Tool]()) }
            for await (index, tools) in group { listings[index].tools = tools }
            return Toolbox(listings, handoffs: handoffs)
        }
    }

    /// Carries out a call, or says why it can't be.
    func call(
        _ call: ToolCall, within limit: Duration,
        progress: @escaping @Sendable (ToolProgress) -> Void = { _ in }
    ) async -> ToolResult {
        guard let offer = offer(call.name) else {
            let names = functions.map(\.name).joined(separator: ", ")
            return ToolResult(.notSent, "There is no tool \(call.name). The tools are: \(names).")
        }
        guard !offer.tool.needsApproval || call.approval == .approved else {
            return ToolResult(
                .notSent, "The call was not made: a person has to approve it, and can't be asked from here.")
        }
        let limit = min(limit, offer.source.callLimit ?? limit)
        return await offer.source.call(offer.tool, call.arguments, limit, progress)
    }

    /// The calls among these that wait for a person.
    func unapproved(_ calls: [ToolCall]) -> [ToolCall] {
        calls.filter { offer($0.name)?.tool.needsApproval == true && $0.approval != .approved }
    }

    /// Carries out several, side by side as far as their bound allows; in no order.
    func call(
        _ calls: [ToolCall], until deadline: ContinuousClock.Instant
    ) async -> [(ToolCall, ToolResult)] {
        await withTaskGroup(of: (ToolCall, ToolResult).self) { group in
            var results: [(ToolCall, ToolResult)] = []
            for (index, call) in calls.enumerated() {
                if index >= ToolCalls.maximumAtOnce, let result = await group.next() {
                    results.append(result)
                }
                group.addTask {
                    let left = max(.milliseconds(1), ContinuousClock.now.duration(to: deadline))
                    return (call, await self.call(call, within: left))
                }
            }
            for await result in group { results.append(result) }
            return results
        }
    }

    static func functionName(_ name: String) -> String {
        let bytes = name.utf8.prefix(ChatFunction.maximumNameBytes).map {
            ChatFunction.isOfName($0) ? $0 : UInt8(ascii: "_")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
