// Starts the thread that runs a client's libcurl loop, and sees it out.

import CCurl
import Glibc
import Logging

/// What the thread needs when it starts.
final class CurlThread: Sendable {
    private let mailbox: Mailbox
    private let configuration: HTTPClient.Configuration
    private let statistics: ClientStatistics
    private let logger: Logger

    /// libcurl is made ready once a process, and never undone: other libraries may use it too.
    private static let isLibraryReady = curl_global_init(Int(CURL_GLOBAL_ALL)) == CURLE_OK

    init(
        mailbox: Mailbox, configuration: HTTPClient.Configuration, statistics: ClientStatistics,
        logger: Logger
    ) {
        self.mailbox = mailbox
        self.configuration = configuration
        self.statistics = statistics
        self.logger = logger
    }

    /// Where no thread can be had, the mailbox is closed and every request fails.
    func start() {
        // The thread inherits a mask without any signal: OpenSSL raises SIGPIPE on a closed connection, and the
        // process's own signals belong to other threads.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var thread = pthread_t()
        let pointer = Unmanaged.passRetained(self)
        let failure = pthread_create(
            &thread, nil,
            { pointer in
                if let pointer { Unmanaged<CurlThread>.fromOpaque(pointer).takeRetainedValue().main() }
                return nil
            }, pointer.toOpaque())
        if failure == 0 {
            pthread_detach(thread)
        } else {
            pointer.release()
            logger.error("The HTTP client got no thread", metadata: ["errno": "\(failure)"])
            close()
        }
    }

    private func main() {
        if Self.isLibraryReady,
            let loop = CurlLoop(mailbox: mailbox, configuration: configuration, statistics: statistics)
        {
            loop.run()
        } else {
            logger.error("The HTTP client could not start libcurl")
        }
        close()
    }

    private func close() {
        for case .start(let exchange, _, _) in mailbox.shut() {
            exchange.end(.shutdown(exchange.target))
        }
    }
}
