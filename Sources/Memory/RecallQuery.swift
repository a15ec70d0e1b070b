/// What recall is asked: whose memories, for which words, and what stands in the prompt already.
public struct RecallQuery: Hashable, Sendable {
    public var scope: Scope
    public var text: String
    /// At most so many memories; the configuration's where nil.
    public var topK: Int?
    /// The scope's own session has its turns from this sequence on in the prompt (`SessionView.contextStart`):
    /// they are left out. Nil leaves out nothing.
    public var contextStart: Int?

    public init(scope: Scope, text: String, topK: Int? = nil, contextStart: Int? = nil) {
        self.scope = scope
        self.text = text
        self.topK = topK
        self.contextStart = contextStart
    }
}
