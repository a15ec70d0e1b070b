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
    }

    private(set) var offers: [Offer] = []

    /// What OpenAI's API takes for a function's name: letters, digits, `_` and `-`.
    static let maximumNameBytes = 64

    init() {}

    /// A tool keeps its name where that is one for a function and nobody else's; else the server's name stands before it.
    init(_ listings: [(source: ToolSource, tools: [Tool])]) {
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
                    name = name.prefix(Self.maximumNameBytes - 4) + "_\(number)"
                    number += 1
                }
                offers.append(Offer(name: name, tool: tool, source: source))
            }
        }
    }

    var isEmpty: Bool { offers.isEmpty }

    func offer(_ name: String) -> Offer? { offers.first { $0.name == name } }

    /// The tools of all sources that tell them in time. The turn goes on without those of the others.
    static func gather(
        _ sources: [ToolSource], within limit: Duration, logger: Logger
    ) async -> Toolbox {
        guard !sources.isEmpty else { return Toolbox() }
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
            return Toolbox(listings)
        }
    }

    /// Carries out a call, or says why it can't be.
    func call(_ call: ToolCall, within limit: Duration) async -> ToolResult {
        guard let offer = offer(call.name) else {
            let names = offers.map(\.name).joined(separator: ", ")
            return ToolResult(.notSent, "There is no tool \(call.name). The tools are: \(names).")
        }
        return await offer.source.call(offer.tool, call.arguments, limit)
    }

    private static func functionName(_ name: String) -> String {
        let bytes = name.utf8.prefix(maximumNameBytes).map { byte -> UInt8 in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                byte
            default: UInt8(ascii: "_")
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
