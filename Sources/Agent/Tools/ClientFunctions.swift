/// Functions that a turn's client brings and carries out itself: the turn ends with the calls, and the next one brings their answers.
import Memory

public struct ClientFunctions: Sendable, Equatable {
    /// No two of one name.
    public var functions: [ChatFunction]
    /// For the turn's first reply; what follows the answers of the pool's own tools is the model's choice.
    public var choice: FunctionChoice
    public var callsInParallel: Bool?

    public init(
        _ functions: [ChatFunction] = [], choice: FunctionChoice = .auto, callsInParallel: Bool? = nil
    ) {
        self.functions = functions
        self.choice = choice
        self.callsInParallel = callsInParallel
    }
}

extension Toolbox {
    /// The same with the client's functions beside. A tool of the pool that is called like one of them is not offered: the client could
    /// not tell which of the two was called.
    func offering(_ client: ClientFunctions) -> Toolbox {
        let names = Set(client.functions.map(\.name))
        var toolbox = Toolbox(offers: offers.filter { !names.contains($0.name) })
        toolbox.clientFunctions = client.functions
        return toolbox
    }
}

extension ToolResult {
    /// Of a client's call that stands beside others which keep the turn from ending with it.
    static let notForClient = ToolResult(
        .notSent,
        "This call was not made: another call of the same reply comes before it. Make it again if it is still needed."
    )
}
