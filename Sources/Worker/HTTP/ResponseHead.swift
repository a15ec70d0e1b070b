/// A response's status and fields, and how they and the body's bytes are laid on an HTTP/1.1 connection.
import NIOCore
import NIOHTTP1

struct ResponseHead: Sendable {
    var status: HTTPResponseStatus
    var fields: [(name: String, value: String)]

    init(_ status: HTTPResponseStatus, _ fields: [(name: String, value: String)] = []) {
        self.status = status
        self.fields = fields
    }

    /// What every event stream says of itself: not to be stored, not to be held back by a proxy.
    static func eventStream(_ fields: [(name: String, value: String)]) -> ResponseHead {
        ResponseHead(
            .ok,
            [
                ("Content-Type", "text/event-stream; charset=utf-8"), ("Cache-Control", "no-store"),
                ("X-Accel-Buffering", "no"),
            ] + fields)
    }
}

/// A whole response, small enough to be made before it is sent.
struct Response: Sendable {
    var head: ResponseHead
    var body: [UInt8]

    init(
        _ status: HTTPResponseStatus, _ fields: [(name: String, value: String)] = [],
        type: String = "application/json", body: [UInt8] = []
    ) {
        head = ResponseHead(status, fields + (body.isEmpty ? [] : [("Content-Type", type)]))
        self.body = body
    }
}

/// How a body's end is marked (RFC 9112, section 6.3).
enum BodyFraming: Sendable, Equatable {
    case length(Int)
    case chunked
    /// For HTTP/1.0 clients and long-lived event streams: the connection's end is the body's.
    case untilClose
}

extension ByteBuffer {
    /// Status line and fields. `close` also where the framing leaves no other end.
    mutating func writeHead(_ head: ResponseHead, framing: BodyFraming, close: Bool, date: String?) {
        writeStaticString("HTTP/1.1 ")
        writeString(String(head.status.code))
        writeStaticString(" ")
        writeString(head.status.reasonPhrase)
        writeStaticString("\r\n")
        for field in head.fields {
            writeString(field.name)
            writeStaticString(": ")
            writeString(field.value)
            writeStaticString("\r\n")
        }
        if let date {
            writeStaticString("Date: ")
            writeString(date)
            writeStaticString("\r\n")
        }
        switch framing {
        case .length(let count):
            writeStaticString("Content-Length: ")
            writeString(String(count))
            writeStaticString("\r\n")
        case .chunked:
            writeStaticString("Transfer-Encoding: chunked\r\n")
        case .untilClose:
            break
        }
        if close || framing == .untilClose { writeStaticString("Connection: close\r\n") }
        writeStaticString("\r\n")
    }

    /// Writes one chunk whose content `body` appends; nothing at all where it appends nothing.
    ///
    /// The size is eight digits with leading zeros (RFC 9112 allows them), so that it can be filled in afterwards without a copy.
    mutating func writeFramed(_ framing: BodyFraming, _ body: (inout ByteBuffer) -> Void) {
        guard framing == .chunked else { return body(&self) }
        let start = writerIndex
        writeStaticString("00000000\r\n")
        let contentStart = writerIndex
        body(&self)
        let count = writerIndex - contentStart
        guard count > 0 else {
            moveWriterIndex(to: start)
            return
        }
        var rest = UInt32(count)
        for place in stride(from: 7, through: 0, by: -1) {
            let digit = UInt8(rest & 15)
            setInteger(digit < 10 ? 48 + digit : 87 + digit, at: start + place)
            rest >>= 4
        }
        writeStaticString("\r\n")
    }

    /// The end of a body.
    mutating func writeBodyEnd(_ framing: BodyFraming) {
        if framing == .chunked { writeStaticString("0\r\n\r\n") }
    }
}
