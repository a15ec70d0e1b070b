/// Keeps a second process away from a data file: an advisory lock that the kernel drops with the process, however it ends.
import Foundation
import Synchronization

final class FileLock: Sendable {
    private let descriptor: Mutex<Int32?>

    /// - Parameter guarding: the file that the lock stands for; named in the error.
    init(path: String, guarding: String) throws(StoreOpenError) {
        let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard opened >= 0 else {
            throw StoreOpenError(
                path: path, problem: "the lock file can't be opened: \(String(cString: strerror(errno)))",
                mend: "Let this user write to its directory")
        }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
            Foundation.close(opened)
            throw StoreOpenError(
                path: guarding, problem: "another process has it open",
                mend: "Stop that process, or give this one a data directory of its own")
        }
        descriptor = Mutex(opened)
    }

    func release() {
        descriptor.withLock { descriptor in
            if let open = descriptor.take() { Foundation.close(open) }
        }
    }

    deinit { release() }
}
