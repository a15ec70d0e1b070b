/// One event of a server-sent event stream, as a value that outlives the bytes that it was parsed from.
///
/// The data is kept as bytes: most readers hand it to a JSON scanner, which wants bytes. ``text`` decodes it.
public struct ServerSentEvent: Sendable, Equatable {
    /// The fields of an event other than its data.
    public struct Fields: Sendable, Equatable {
        /// The event's type: the last `event` field of its block, `message` where there is none.
        public var event: String
        /// The stream's last event id when this event was dispatched; nil while no `id` field was seen.
        public var id: String?
        /// The reconnection time in milliseconds that this event's block asked for, if it did.
        public var retry: Int?

        public init(event: String = "message", id: String? = nil, retry: Int? = nil) {
            self.event = event
            self.id = id
            self.retry = retry
        }
    }

    public var fields: Fields
    /// The event's data lines joined by line feeds, as they came; not checked to be UTF-8.
    public var data: [UInt8]

    public var event: String { fields.event }
    public var id: String? { fields.id }
    public var retry: Int? { fields.retry }

    /// The data as text; a byte that isn't UTF-8 becomes U+FFFD, as the standard asks.
    public var text: String { String(decoding: data, as: UTF8.self) }

    public init(fields: Fields = Fields(), data: [UInt8]) {
        self.fields = fields
        self.data = data
    }
}
