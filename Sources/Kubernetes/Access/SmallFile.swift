/// Reads certificates, keys and tokens, none of which is large.

import Glibc

enum SmallFile {
    private static let maxBytes = 1 << 20

    /// - Parameter what: what the file is, for the error.
    static func read(_ path: String, _ what: String) throws(ClusterAccessError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ClusterAccessError(
                "\(what) can't be read from \(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw ClusterAccessError(
                    "\(what) can't be read from \(path): \(String(cString: strerror(errno)))")
            }
            if count == 0 { return bytes }
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= maxBytes else {
                throw ClusterAccessError("\(what) in \(path) is larger than 1 MiB")
            }
        }
    }

    /// One line, without the white space around it. Throws where there is none.
    static func text(_ path: String, _ what: String) throws(ClusterAccessError) -> String {
        let bytes = try read(path, what)
        let isSpace = { (byte: UInt8) in byte == UInt8(ascii: " ") || (9...13).contains(byte) }
        let line = bytes.drop(while: isSpace).reversed().drop(while: isSpace).reversed()
        guard !line.isEmpty, line.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
            throw ClusterAccessError("\(what) in \(path) is not one line of text")
        }
        return String(decoding: Array(line), as: UTF8.self)
    }
}
