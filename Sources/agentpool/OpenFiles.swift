/// Each connection is an open file: takes as many as the system grants.
import Foundation
import Logging

enum OpenFiles {
    static func raiseLimit(_ logger: Logger) {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0,
            limit.rlim_cur < limit.rlim_max
        else { return }
        limit.rlim_cur = limit.rlim_max
        if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) != 0 {
            logger.warning("the limit of open files can't be raised", metadata: ["errno": "\(errno)"])
        }
    }
}
