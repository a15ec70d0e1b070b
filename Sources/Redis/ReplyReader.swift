/// Owns hiredis's reader: bytes in, replies out, in whatever pieces the bytes come.
import CHiredis
import NIOCore

struct ReplyReader: ~Copyable {
    struct Malformed: Error {}

    private let reader: UnsafeMutablePointer<redisReader>
    private let builder: ReplyBuilder

    /// - Parameter maxReplyBytes: of one reply, its punctuation included.
    init(maxReplyBytes: Int) throws(Malformed) {
        guard let reader = redisReaderCreateWithFunctions(replyFunctions) else { throw Malformed() }
        self.reader = reader
        builder = ReplyBuilder(limit: maxReplyBytes)
        reader.pointee.privdata = Unmanaged.passUnretained(builder).toOpaque()
        // hiredis frees an empty buffer above this size, 16 KiB by default, only to grow it again for the next value.
        reader.pointee.maxbuf = 1 << 20
    }

    deinit {
        redisReaderFree(reader)
    }

    /// Takes bytes; `next` gives the replies that they complete.
    ///
    /// - Throws: once, then the connection is of no use any more.
    mutating func feed(_ bytes: UnsafeRawBufferPointer) throws(Malformed) {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
        let text = base.assumingMemoryBound(to: CChar.self)
        guard reader.pointee.len - reader.pointee.pos + bytes.count <= builder.limit + (1 << 20),
            redisReaderFeed(reader, text, bytes.count) == REDIS_OK
        else { throw Malformed() }
    }

    /// - Returns: nil where the next reply is not complete.
    mutating func next() throws(Malformed) -> RedisValue? {
        var done: UnsafeMutableRawPointer?
        let code = withExtendedLifetime(builder) { redisReaderGetReply(reader, &done) }
        guard code == REDIS_OK else { throw Malformed() }
        return done == nil ? nil : builder.take()
    }
}

/// Builds a reply out of hiredis's callbacks: a scalar ends the reply, or is one more element of the innermost array.
private final class ReplyBuilder {
    let limit: Int
    private var open: [(values: [RedisValue], count: Int)] = []
    private var finished: RedisValue?
    private var bytes = 0

    init(limit: Int) {
        self.limit = limit
    }

    func take() -> RedisValue? {
        defer {
            finished = nil
            bytes = 0
        }
        return finished
    }

    /// - Returns: false where the reply is too large.
    func add(_ value: RedisValue, bytes count: Int) -> Bool {
        bytes += count + 16
        guard bytes <= limit else { return false }
        var value = value
        while var array = open.popLast() {
            array.values.append(value)
            guard array.values.count == array.count else {
                open.append(array)
                return true
            }
            value = .array(array.values)
        }
        finished = value
        return true
    }

    func beginArray(_ count: Int) -> Bool {
        guard count >= 0, count <= limit / 4 else { return false }
        guard count > 0 else { return add(.array([]), bytes: 0) }
        var values: [RedisValue] = []
        values.reserveCapacity(min(count, 1024))
        open.append((values, count))
        return true
    }
}

/// hiredis keeps what a callback returns and takes NULL for a failure; the builder holds the values, so any address does.
private func answer(
    _ task: UnsafePointer<redisReadTask>?, _ body: (ReplyBuilder, redisReadTask) -> Bool
) -> UnsafeMutableRawPointer? {
    guard let task = task?.pointee, let data = task.privdata else { return nil }
    let builder = Unmanaged<ReplyBuilder>.fromOpaque(data).takeUnretainedValue()
    return body(builder, task) ? data : nil
}

/// One table for every reader; hiredis only reads it.
nonisolated(unsafe) private let replyFunctions: UnsafeMutablePointer<redisReplyObjectFunctions> = {
    let functions = UnsafeMutablePointer<redisReplyObjectFunctions>.allocate(capacity: 1)
    functions.initialize(
        to: redisReplyObjectFunctions(
            createString: { task, text, length in
                answer(task) { builder, task in
                    let bytes = UnsafeRawBufferPointer(start: text, count: length)
                    let value: RedisValue =
                        switch task.type {
                        case REDIS_REPLY_STATUS: .status(String(decoding: bytes, as: UTF8.self))
                        case REDIS_REPLY_ERROR: .error(errorText(bytes))
                        default: .bulk(Array(bytes))
                        }
                    return builder.add(value, bytes: length)
                }
            },
            createArray: { task, count in
                answer(task) { builder, _ in builder.beginArray(Int(count)) }
            },
            createInteger: { task, number in
                answer(task) { builder, _ in builder.add(.integer(number), bytes: 0) }
            },
            createNil: { task in
                answer(task) { builder, _ in builder.add(.null, bytes: 0) }
            },
            freeObject: { _ in }))
    return functions
}()

/// The code alone: what follows may quote the command's values. Redirections are kept, which name slots and nodes only.
private func errorText(_ bytes: UnsafeRawBufferPointer) -> String {
    let text = String(decoding: bytes.prefix(256), as: UTF8.self)
    let words = text.split(separator: " ", maxSplits: 3)
    guard let code = words.first else { return "ERR" }
    return code == "MOVED" || code == "ASK" ? words.prefix(3).joined(separator: " ") : String(code)
}
