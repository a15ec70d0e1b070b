/// An open watch: cuts the body into the events that it carries, one a line.

import Transport

/// What a watch tells.
enum WatchEvent: Sendable {
    /// The object is there, new or changed, as of this resource version.
    case changed(JSONSlice, version: String)
    case removed(JSONSlice, version: String)
    /// Nothing up to here was left out.
    case bookmark(version: String)
    case failed(APIError)

    /// Nil where the line is no event that is known; a later server may have others.
    init?(line: [UInt8]) {
        let event = JSONSlice(line)
        guard let type = event["type"]?.string, let object = event["object"] else { return nil }
        let version = object["metadata"]?["resourceVersion"]?.string ?? ""
        switch type {
        case "ADDED", "MODIFIED": self = .changed(object, version: version)
        case "DELETED": self = .removed(object, version: version)
        case "BOOKMARK": self = .bookmark(version: version)
        case "ERROR": self = .failed(APIError(status: 500, object: object))
        default: return nil
        }
    }
}

/// The events of one answer, in order. One reader only.
struct WatchStream {
    private var lines = LineCutter()
    private var body: HTTPBody.AsyncIterator

    init(body: HTTPBody) {
        self.body = body.makeAsyncIterator()
    }

    /// Waits for the next event; nil at the answer's end.
    mutating func next() async throws(APIError) -> WatchEvent? {
        while true {
            while let line = lines.next() {
                if let event = WatchEvent(line: line) { return event }
            }
            guard !lines.isOverlong else {
                throw APIError(
                    status: 0, reason: APIError.Unanswered.tooLarge,
                    message: "an event of a watch is over its bound")
            }
            do {
                guard let chunk = try await body.next() else { return nil }
                lines.add(chunk)
            } catch {
                throw APIError(error)
            }
        }
    }
}

/// Cuts bytes that come in pieces into lines. A last line without its end is dropped: it was cut off.
struct LineCutter: Sendable {
    /// Twice of what an object may have in the API server's store.
    static let maxLineBytes = 4 << 20

    private var waiting: [UInt8] = []
    private var start = 0
    /// Up to here there is no line's end.
    private var searched = 0

    mutating func add(_ chunk: [UInt8]) {
        if start > 0 {
            waiting.removeSubrange(..<start)
            searched -= start
            start = 0
        }
        if waiting.isEmpty { waiting = chunk } else { waiting.append(contentsOf: chunk) }
    }

    /// The next whole line that isn't empty.
    mutating func next() -> [UInt8]? {
        while let end = waiting[searched...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = waiting[start..<end]
            start = end + 1
            searched = start
            if !line.isEmpty { return Array(line) }
        }
        searched = waiting.count
        return nil
    }

    var isOverlong: Bool { waiting.count - start > Self.maxLineBytes }
}
