/// Makes the TLS contexts of new connections, and a new one when a file has changed: certificates rotate.
import Glibc
import NIOCore
import NIOSSL
import Synchronization

final class TLSContexts: Sendable {
    private struct Made {
        var context: NIOSSLContext
        var versions: [FileVersion]
    }

    private struct FileVersion: Equatable {
        var seconds = 0
        var nanoseconds = 0
        var inode: UInt = 0
    }

    private let tls: RedisTLS
    private let made = Mutex<Made?>(nil)

    init(_ tls: RedisTLS) {
        self.tls = tls
    }

    /// - Throws: where a file is missing or is not PEM.
    func handler(for host: String) throws -> NIOSSLClientHandler {
        let name = tls.serverName ?? host
        // An IP address is no SNI; the certificate must then name the address itself.
        let isAddress = (try? SocketAddress(ipAddress: name, port: 0)) != nil  // Throwing is how NIO says no.
        return try NIOSSLClientHandler(context: try context(), serverHostname: isAddress ? nil : name)
    }

    private func context() throws -> NIOSSLContext {
        let versions = [tls.caFile, tls.certificateFile, tls.keyFile].compactMap { $0 }.map(Self.version)
        return try made.withLock { made in
            if let made, made.versions == versions { return made.context }
            let context = try NIOSSLContext(configuration: try configuration())
            made = Made(context: context, versions: versions)
            return context
        }
    }

    private func configuration() throws -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.certificateVerification = tls.verifiesServer ? .fullVerification : .none
        if let file = tls.caFile { configuration.trustRoots = .file(file) }
        if let certificate = tls.certificateFile, let key = tls.keyFile {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate).map {
                .certificate($0)
            }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
        }
        return configuration
    }

    private static func version(_ path: String) -> FileVersion {
        var status = stat()
        guard stat(path, &status) == 0 else { return FileVersion() }
        return FileVersion(
            seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec, inode: UInt(status.st_ino))
    }
}
