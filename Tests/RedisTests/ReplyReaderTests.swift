/// The codec: any reply in any pieces, and nothing that isn't one.
import NIOCore
import Testing

@testable import Redis

@Suite("The reader of replies")
struct ReplyReaderTests {
    static func encode(_ value: RedisValue) -> [UInt8] {
        switch value {
        case .null: Array("$-1\r\n".utf8)
        case .integer(let number): Array(":\(number)\r\n".utf8)
        case .status(let text): Array("+\(text)\r\n".utf8)
        case .error(let text): Array("-\(text)\r\n".utf8)
        case .bulk(let bytes): Array("$\(bytes.count)\r\n".utf8) + bytes + [13, 10]
        case .array(let values): Array("*\(values.count)\r\n".utf8) + values.flatMap(encode)
        }
    }

    static func random(_ generator: inout Seeded, depth: Int) -> RedisValue {
        switch Int.random(in: 0...(depth > 0 ? 6 : 4), using: &generator) {
        case 0: .null
        case 1: .integer(Int64.random(in: .min ... .max, using: &generator))
        case 2: .status(["OK", "", "PONG é 🙂"].randomElement(using: &generator) ?? "")
        case 3: .error(["ERR", "MOVED 3999 127.0.0.1:6381", "OOM"].randomElement(using: &generator) ?? "")
        case 4:
            .bulk(
                (0..<Int.random(
                    in: 0...[3, 40, 3000][Int.random(in: 0...2, using: &generator)], using: &generator))
                    .map { _ in [0, 10, 13, 36, 42, 0xFF].randomElement(using: &generator) ?? 0 })
        default:
            .array(
                (0..<Int.random(in: 0...5, using: &generator)).map { _ in random(&generator, depth: depth - 1)
                })
        }
    }

    @Test("any split of the bytes gives the same replies")
    func randomSplits() throws {
        var generator = Seeded(state: 42)
        for _ in 0..<300 {
            let values = (0..<Int.random(in: 1...12, using: &generator)).map { _ in
                Self.random(&generator, depth: 5)
            }
            let bytes = values.flatMap(Self.encode)
            var reader = try ReplyReader(maxReplyBytes: 1 << 20)
            var seen: [RedisValue] = []
            var rest = bytes[...]
            let most = [1, 7, 100, 100_000].randomElement(using: &generator) ?? 1
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...most, using: &generator))
                rest = rest.dropFirst(piece.count)
                try piece.withUnsafeBytes { try reader.feed($0) }
                while let value = try reader.next() { seen.append(value) }
            }
            #expect(seen == values)
        }
    }

    @Test("random bytes make a fault or wait for more, and never crash")
    func garbage() throws {
        var generator = Seeded(state: 43)
        var faults = 0
        for _ in 0..<2000 {
            var bytes = Self.encode(Self.random(&generator, depth: 4))
            for _ in 0..<3 where !bytes.isEmpty {
                bytes[Int.random(in: bytes.indices, using: &generator)] = UInt8.random(
                    in: 0...255, using: &generator)
            }
            var reader = try ReplyReader(maxReplyBytes: 1 << 16)
            do {
                try bytes.withUnsafeBytes { try reader.feed($0) }
                while try reader.next() != nil {}
            } catch {
                faults += 1
            }
        }
        #expect(faults > 100)
    }

    @Test(
        "what is no reply, or too large a one, is refused",
        arguments: [
            "HTTP/1.1 400 Bad Request\r\n", "*2147483647\r\n", "*99999999999999999999\r\n", "$-5\r\n",
            "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
            "$2000\r\n" + String(repeating: "a", count: 2000) + "\r\n",
        ])
    func refused(text: String) throws {
        var reader = try ReplyReader(maxReplyBytes: 1000)
        var isRefused = false
        do {
            try Array(text.utf8).withUnsafeBytes { try reader.feed($0) }
            while try reader.next() != nil {}
        } catch {
            isRefused = true
        }
        #expect(isRefused)
    }

    @Test("of an error reply its first word is kept")
    func errorsKeepTheirCode() throws {
        var reader = try ReplyReader(maxReplyBytes: 1000)
        try Array("-ERR unknown command 'secret'\r\n*1\r\n-WRONGTYPE my value\r\n".utf8).withUnsafeBytes {
            try reader.feed($0)
        }
        #expect(try reader.next() == .error("ERR"))
        #expect(try reader.next() == .array([.error("WRONGTYPE")]))
    }

    @Test("commands are arrays of bulks, whatever the bytes")
    func encoding() {
        var buffer = ByteBuffer()
        #expect(CommandEncoding.append(["SET", "", RedisArgument([0, 13, 10, 0xFF]), "é{🙂}"], to: &buffer))
        let expected =
            Array("*4\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\n".utf8) + [0, 13, 10, 0xFF]
            + Array("\r\n$8\r\né{🙂}\r\n".utf8)
        #expect(Array(buffer.readableBytesView) == expected)
    }

    @Test("a script's digest is its SHA-1")
    func digest() {
        #expect(
            RedisScript(name: "one", source: "return 1").digest == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db")
    }

    @Test("values read as what they hold")
    func accessors() {
        #expect(RedisValue.bulk([0x34, 0x32]).int == 42)
        #expect(RedisValue.bulk([0xFF]).string == nil)
        #expect(RedisValue.status("OK").bytes == [0x4F, 0x4B])
        #expect(RedisValue.integer(-1).int == -1)
        #expect(RedisValue.array([.null]).array?.first?.isNull == true)
    }
}
