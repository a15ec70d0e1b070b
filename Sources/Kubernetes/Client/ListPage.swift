/// One page of a list as it came, its items cut apart and not yet decoded.

public struct ListPage: Sendable {
    public let items: [JSONSlice]
    /// The moment that the whole list shows, for a watch to begin at.
    public let resourceVersion: String
    /// Names the next page; nil on the last.
    public let continuation: String?

    /// Nil where the text is no list.
    public init?(_ bytes: [UInt8]) {
        let list = JSONSlice(bytes)
        guard let metadata = list["metadata"], let items = list["items"] else { return nil }
        self.items = items.elements
        resourceVersion = metadata["resourceVersion"]?.string ?? ""
        continuation = metadata["continue"]?.string.flatMap { $0.isEmpty ? nil : $0 }
    }
}
