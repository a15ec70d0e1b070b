/// Which items of a list a client asks for, and the list as it is answered: OpenAI's paging by `limit`, `order` and `after`. Pure.
import Agent

struct ItemQuery: Equatable, Sendable {
    static let limits = 1...100
    static let defaultLimit = 20

    var limit: Int
    var isAscending: Bool
    /// The item after which the page begins, in its order.
    var after: String?

    /// - Throws: `APIError` that names the parameter.
    init(_ query: QueryItems) throws(APIError) {
        limit = try query.integer("limit", in: Self.limits) ?? Self.defaultLimit
        after = query.text("after")
        switch query.text("order") {
        case "asc": isAscending = true
        case "desc", nil: isAscending = false
        case _?: throw .invalid("order", "order must be asc or desc.")
        }
    }

    /// - Parameter items: the oldest first.
    func ordered(_ items: [TurnItems.Item]) -> [TurnItems.Item] { isAscending ? items : items.reversed() }

    /// Those that follow `after`, where that is one of them.
    ///
    /// - Parameter items: in the query's order.
    /// - Throws: `APIError` that names the parameter.
    func rest(of items: [TurnItems.Item]) throws(APIError) -> [TurnItems.Item] {
        guard let after else { return items }
        guard let place = items.firstIndex(where: { $0.id == after }) else { throw .unknownCursor(after) }
        return Array(items[(place + 1)...])
    }

    /// - Parameter items: all of the list, the oldest first.
    func page(of items: [TurnItems.Item]) throws(APIError) -> ItemPage {
        ItemPage(try rest(of: ordered(items)), limit: limit)
    }
}

struct ItemPage {
    var items: ArraySlice<TurnItems.Item>
    var hasMore: Bool

    /// - Parameter items: the page's, and such as follow it.
    init(_ items: [TurnItems.Item], limit: Int) {
        self.items = items.prefix(limit)
        hasMore = items.count > limit
    }

    var json: [UInt8] {
        var json = JSONWriter(capacity: items.reduce(256) { $0 + $1.json.count + 1 })
        json.beginObject()
        json.field("object", "list")
        json.key("data")
        json.beginArray()
        for item in items { json.raw(item.json) }
        json.endArray()
        json.key("first_id")
        if let first = items.first { json.string(first.id) } else { json.null() }
        json.key("last_id")
        if let last = items.last { json.string(last.id) } else { json.null() }
        json.field("has_more", hasMore)
        json.endObject()
        return json.bytes
    }
}

extension APIError {
    static func unknownCursor(_ id: String) -> APIError {
        .invalid("after", "There is no item `\(id)` in this list.")
    }
}
