/// Forgets what the embedded stores hold: their file, whole.
import Foundation

extension EmbeddedStore {
    /// Overwrites and removes the file in `directory`, which no process may have open. Where it breaks off, the next call goes on; a
    /// store that is opened in between is empty, or as its last checkpoint left it.
    ///
    /// - Returns: whether there was anything.
    /// - Throws: `StoreOpenError` where another process has the file open, or where it can't be removed.
    public static func purge(directory: String) throws(StoreOpenError) -> Bool {
        guard FileManager.default.fileExists(atPath: directory) else { return false }
        let path = directory + "/memory.sqlite"
        let lock = try FileLock(path: path + ".lock", guarding: path)
        defer { lock.release() }
        var found = false
        // The log first: beside a new file it would be taken for that one's.
        for name in ["-wal", "-shm", ""].map({ path + $0 }) {
            let doomed = name + ".purged"
            if rename(name, doomed) == 0 { found = true }
            guard FileManager.default.fileExists(atPath: doomed) else { continue }
            found = true
            do {
                try overwrite(doomed)
                try FileManager.default.removeItem(atPath: doomed)
            } catch {
                throw StoreOpenError(
                    path: doomed, problem: "the file can't be removed: \(error.localizedDescription)",
                    mend: "Let this user write to its directory")
            }
        }
        return found
    }

    private static func overwrite(_ path: String) throws {
        let file = try FileHandle(forUpdating: URL(filePath: path))
        defer {
            // What was written is on the disk by then, or the error is thrown already.
            try? file.close()
        }
        var left = try file.seekToEnd()
        try file.seek(toOffset: 0)
        let zeros = Data(count: 1 << 20)
        while left > 0 {
            let some = min(left, UInt64(zeros.count))
            try file.write(contentsOf: zeros.prefix(Int(some)))
            left -= some
        }
        try file.synchronize()
    }
}
