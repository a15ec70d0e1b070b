/// Writes commands as RESP arrays, by hiredis.
import CHiredis
import NIOCore

enum CommandEncoding {
    /// How many bytes the arguments have, before anything is copied.
    static func size(of arguments: [RedisArgument]) -> Int {
        arguments.reduce(0) { $0 + $1.bytes.count + 16 }
    }

    /// - Returns: false where hiredis found no memory.
    static func append(_ arguments: [RedisArgument], to buffer: inout ByteBuffer) -> Bool {
        // hiredis takes an array of pointers: they point into one copy of all the bytes.
        var bytes: [CChar] = []
        bytes.reserveCapacity(size(of: arguments))
        var lengths: [Int] = []
        lengths.reserveCapacity(arguments.count)
        for argument in arguments {
            argument.bytes.withUnsafeBytes { bytes.append(contentsOf: $0.bindMemory(to: CChar.self)) }
            lengths.append(argument.bytes.count)
        }
        // So that there is an address even where every argument is empty.
        bytes.append(0)
        return bytes.withUnsafeBufferPointer { all in
            guard let base = all.baseAddress else { return false }
            var offset = 0
            var pointers: [UnsafePointer<CChar>?] = lengths.map { length in
                defer { offset += length }
                return base + offset
            }
            var target: UnsafeMutablePointer<CChar>?
            let count = redisFormatCommandArgv(&target, Int32(lengths.count), &pointers, lengths)
            guard count >= 0, let target else { return false }
            buffer.writeBytes(UnsafeRawBufferPointer(start: target, count: Int(count)))
            redisFreeCommand(target)
            return true
        }
    }
}
